"""Build PSALM from a language model and Mask2Former, as the paper does before training."""

from __future__ import annotations

import re

from ..common.assembly import Assembly, Part, assemble_model
from ..common.language_parts import load_language_part
from ..registry import AssemblyOptions
from ..segearth_r1.mask2former import load_mask2former
from .modeling import PsalmConfig
from .predictor import PsalmPredictor, PsalmProcessor

_NEW = re.compile(r"(connector|query_projector|condition_projector|score_projector)\..*|seg_query")


def assemble(options: AssemblyOptions) -> Assembly:
    """Assemble PSALM for the model registry.

    The mask queries take their positions from Mask2Former's first ones.

    Raises:
        EarthReasonError: a part cannot be loaded, or does not fit.
    """
    language = load_language_part(str(options.llm), PsalmProcessor.tokens, options.dtype)
    masks, settings = load_mask2former(str(options.mask2former), options.dtype)
    vocabulary = language.tokenizer.get_vocab()
    positions = masks.tensors["query_positions"]
    config = PsalmConfig(
        text_config=language.config,
        queries=min(len(positions), PsalmProcessor.queries),
        seg_token_id=vocabulary[PsalmProcessor.tokens[0]],
        **settings,
    )
    tensors = {**masks.tensors, "query_positions": positions[: config.queries]}
    parts = [language.without_head(), Part(masks.name, masks.source, tensors, masks.left_out)]
    return assemble_model(
        PsalmPredictor, config, parts, language.tokenizer, language.tokens, _NEW, options.target, options.dtype
    )
