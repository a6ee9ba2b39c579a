"""Convert published PixelLM checkpoints, whose files leave CLIP out."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from ..common.clip_sam import SAM_MLP, SAM_TRANSFORMER, UNUSED_BUFFERS, UNUSED_PROMPTS, ClipParts
from ..common.conversion import Report, Table, rename
from ..registry import ConversionOptions
from .modeling import PixelLMConfig
from .predictor import PixelLMPredictor, PixelLMProcessor

_DECODER = r"model\.mask_decoder\."
UNUSED = re.compile(
    rf"model\.{UNUSED_PROMPTS}|{_DECODER}(iou_prediction_head|output_hypernetworks_mlps\.[123])\..*|{UNUSED_BUFFERS}"
    r"|model\.vision_tower\..*"
)
"""Published names that nothing uses, such as those for further masks of SAM's decoder; weights straight from training
include the frozen CLIP."""
RENAMES: Table = (
    (r"model\.(embed_tokens|layers|norm)\.", r"language_model.\1."),
    (r"model\.mm_projector\.", "projector."),
    (r"model\.out_mm_projector\.", "mask_projector."),
    (r"model\.image_feature_neck\.", "neck."),
    (r"model\.text_hidden_fcs\.0\.", "query."),
    (r"model\.prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix", "pixel_decoder.positions.0.matrix"),
    (rf"{_DECODER}pe1\.positional_encoding_gaussian_matrix", "pixel_decoder.positions.1.matrix"),
    (r"model\.prompt_encoder\.no_mask_embed\.weight", "pixel_decoder.no_mask"),
    (rf"{_DECODER}output_upscaling\.", "pixel_decoder.upscale."),
    (rf"{_DECODER}upsample_2x\.", "pixel_decoder.enlarge."),
    (rf"{_DECODER}level_embed\.weight", "pixel_decoder.level_embed"),
)
_TOKENS = ("model.mask_decoder.iou_token.weight", "model.mask_decoder.mask_tokens.weight")
USUAL_CLIP = "openai/clip-vit-large-patch14-336"
"""CLIP of the published models."""


def our_name(published: str) -> str:
    """Return our name of a published tensor."""
    transformer = re.fullmatch(rf"{_DECODER}transformer\.(\d)\.(.*)", published)
    if transformer:
        return f"pixel_decoder.transformers.{transformer[1]}.{rename(transformer[2], SAM_TRANSFORMER)}"
    mlp = re.fullmatch(rf"{_DECODER}output_hypernetworks_mlps\.0\.(.*)", published)
    return f"pixel_decoder.hypernetwork.{rename(mlp[1], SAM_MLP)}" if mlp else rename(published, RENAMES)


def convert_published(
    source: Path, clip: str | Path, target: Path, dtype: str = "float32", config: PixelLMConfig | None = None
) -> Report:
    """Convert a published folder, `hf_model` of `maverickrzw/PixelLM-7B`, and its CLIP into our format.

    Args:
        source: folder with weight shards, config.json and tokenizer.
        clip: folder or Hub id of the CLIP, which the published files leave out.
        target: folder to write; must not exist, or be empty.
        dtype: name of the dtype to write.
        config: configuration of the model, if it is not the published one.

    Raises:
        EarthReasonError: names or shapes are not as expected (all listed), or a file is missing.
    """
    parts = ClipParts.load(source, clip)
    config = config or PixelLMConfig(
        text_config=parts.text,
        clip_config=parts.tower.config,
        projector_dim=2 * parts.text["hidden_size"],
        seg_token_ids=tuple(parts.ids(PixelLMProcessor.tokens)),
        as_released=True,
    )
    config.wording = "published"
    given = parts.tower_weights("vision_tower")
    tokens: dict[str, Tensor] = {}

    def translate(name: str, tensor: Tensor) -> dict[str, Tensor]:
        if name not in _TOKENS:
            return {our_name(name): tensor.flatten() if name.endswith("no_mask_embed.weight") else tensor}
        tokens[name] = tensor  # two published tables make one of ours
        return {"pixel_decoder.tokens": torch.cat([tokens[n] for n in _TOKENS])} if len(tokens) == len(_TOKENS) else {}

    return parts.convert("PixelLM", PixelLMPredictor, config, given, translate, UNUSED, target, dtype)


def convert(options: ConversionOptions) -> Report:
    """Convert a published checkpoint for the model registry."""
    clip = options.clip or USUAL_CLIP
    return convert_published(Path(options.source), clip, options.target, options.dtype)
