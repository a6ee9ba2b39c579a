"""Build PixelLM from a language model and CLIP, as the paper does before training; all the rest starts new."""

from __future__ import annotations

import re

from transformers import CLIPVisionModel

from ..common.assembly import Assembly, Part, assemble_model, load_strictly
from ..common.clip_sam import CLIP_WORDS
from ..common.language_parts import load_language_part
from ..common.llava import IMAGE_MARKS
from ..registry import AssemblyOptions
from .modeling import PixelLMConfig
from .predictor import PixelLMPredictor, PixelLMProcessor

_NEW = re.compile(r"(projector|mask_projector|neck|query|pixel_decoder)\..*|token_weights")


def assemble(options: AssemblyOptions) -> Assembly:
    """Assemble PixelLM for the model registry.

    LLaVA's connector is left out, as PixelLM's projectors have another form and start new in the paper too.

    Raises:
        EarthReasonError: a part cannot be loaded, or does not fit.
    """
    tokens, dtype = PixelLMProcessor.tokens, options.dtype
    language = load_language_part(str(options.llm), tokens, dtype, IMAGE_MARKS)
    language.part.left_out.extend(f"model.mm_projector.{name}" for name in language.connector)
    clip, extra = load_strictly(CLIPVisionModel, str(options.clip), dtype, CLIP_WORDS)
    tower = Part("clip", str(options.clip), {f"vision_tower.{n}": t for n, t in clip.state_dict().items()}, extra)
    vocabulary = language.tokenizer.get_vocab()
    config = PixelLMConfig(
        text_config=language.config,
        clip_config=clip.config,
        projector_dim=2 * language.config.hidden_size,
        seg_token_ids=tuple(vocabulary[token] for token in tokens),
        wording="published",
    )
    parts = [language.part, tower]
    return assemble_model(
        PixelLMPredictor, config, parts, language.tokenizer, language.tokens, _NEW, options.target, dtype
    )
