"""Small SegEarth-R1 models: for tests, and for training without a GPU."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from ..common.languages import Size, byte_tokenizer, text_config
from ..common.processing import add_tokens
from .configuration import SegEarthR1Config
from .modeling import SegEarthR1Model
from .processing import SegEarthR1Processor

PARTS: dict[Size, dict[str, Any]] = {
    "mini": {
        "vision_dim": 16,
        "vision_depths": (1, 1, 2, 1),
        "vision_heads": (1, 2, 4, 8),
        "description_dim": 64,
        "description_heads": 2,
        "decoder_dim": 64,
        "pixel_decoder_layers": 2,
        "pixel_decoder_ffn": 128,
        "mask_decoder_layers": 3,
        "mask_decoder_ffn": 128,
    },
    "tiny": {
        "vision_dim": 32,
        "vision_depths": (2, 2, 4, 2),
        "vision_heads": (1, 2, 4, 8),
        "description_dim": 128,
        "description_heads": 4,
        "decoder_dim": 96,
        "pixel_decoder_layers": 2,
        "pixel_decoder_ffn": 256,
        "mask_decoder_layers": 3,
        "mask_decoder_ffn": 256,
    },
    "small": {
        "vision_dim": 48,
        "vision_depths": (2, 2, 6, 2),
        "vision_heads": (2, 4, 8, 16),
        "description_dim": 192,
        "description_heads": 6,
        "decoder_dim": 128,
        "pixel_decoder_layers": 3,
        "pixel_decoder_ffn": 512,
        "mask_decoder_layers": 6,
        "mask_decoder_ffn": 512,
    },
}
"""Settings of image encoder and decoders; with `text_config`, models of 0.5, 6 and 14 million parameters."""
_COMMON: dict[str, Any] = {"window_size": 8, "drop_path_rate": 0.1, "description_head_dim": 32, "decoder_heads": 4}


def parts_of(size: Size, **changes: Any) -> dict[str, Any]:
    """Return the settings of `SegEarthR1Config` besides the language model."""
    return {**_COMMON, **PARTS[size], **changes}


def tiny_config(
    vocabulary: int, seg_token_id: int, image_size: int = 256, size: Size = "mini", **changes: Any
) -> SegEarthR1Config:
    """Configure the architecture at small width, with a Llama instead of Phi.

    Args:
        vocabulary: size of the tokenizer's vocabulary.
        seg_token_id: id of `[SEG]`.
        image_size: side of the canvas in pixels.
        size: `mini` for tests, `tiny` to train on a CPU, or `small`.
        **changes: other settings of `SegEarthR1Config`.
    """
    return SegEarthR1Config(
        text_config=text_config(size, vocabulary),
        image_size=image_size,
        seg_token_id=seg_token_id,
        **parts_of(size, **changes),
    )


def make_tiny(
    seed: int = 0,
    image_size: int = 256,
    size: Size = "mini",
    tokenizer: PreTrainedTokenizerFast | None = None,
    **changes: Any,
) -> tuple[SegEarthR1Model, SegEarthR1Processor]:
    """Make a random model and its processor, with a byte tokenizer by default."""
    tokenizer = tokenizer or byte_tokenizer()
    [seg] = add_tokens(tokenizer)
    config = tiny_config(len(tokenizer), seg, image_size, size, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SegEarthR1Model(config)
    return model.eval(), SegEarthR1Processor.for_model(config, tokenizer)
