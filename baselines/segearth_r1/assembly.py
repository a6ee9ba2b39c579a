"""Build SegEarth-R1 from a language model and Mask2Former, as the paper does before training."""

from __future__ import annotations

import re

from ..common.assembly import Assembly, Part, assemble_model
from ..common.language_parts import load_language_part
from ..registry import AssemblyOptions
from .configuration import SegEarthR1Config
from .mask2former import load_mask2former
from .predictor import SegEarthR1Predictor
from .processing import SegEarthR1Processor

_NEW = re.compile(r"(connector|description)\..*")


def assemble(options: AssemblyOptions) -> Assembly:
    """Assemble SegEarth-R1 for the model registry.

    Raises:
        EarthReasonError: a part cannot be loaded, or does not fit.
    """
    [token] = SegEarthR1Processor.tokens
    language = load_language_part(str(options.llm), [token], options.dtype)
    masks, settings = load_mask2former(str(options.mask2former), options.dtype)
    config = SegEarthR1Config(
        text_config=language.config, seg_token_id=language.tokenizer.get_vocab()[token], **settings
    )
    tensors = {name: tensor for name, tensor in masks.tensors.items() if name != "query_positions"}
    parts = [language.part, Part(masks.name, masks.source, tensors, [*masks.left_out, "query positions"])]
    return assemble_model(
        SegEarthR1Predictor, config, parts, language.tokenizer, language.tokens, _NEW, options.target, options.dtype
    )
