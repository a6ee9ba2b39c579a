"""Convert published checkpoints.

The published files have 935 tensors. Each is renamed, split (the fused attention of Phi) or known to be unused. A file
with any other tensor, or with one of another shape, is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from earthreason.errors import DataNotFoundError, EarthReasonError

from ..common.conversion import (
    Report,
    Table,
    convert_tensors,
    rename,
    save_checkpoint,
    shapes_of,
)
from ..common.processing import Processor
from ..common.weights import read_tensors
from ..registry import ConversionOptions
from .configuration import SegEarthR1Config
from .modeling import SegEarthR1Model
from .processing import SegEarthR1Processor

_DECODER = r"predictor\.transformer_"
RENAMES: Table = (
    (r"model\.vision_tower\.", "vision_tower."),
    (r"model\.mm_projector\.", "connector."),
    (r"model\.(embed_tokens|layers|final_layernorm)\.", r"language_model.\1."),
    (r"origin_SEG_token_projector\.", "description.embedding_projector."),
    (r"text_projector\.", "description.text_projector."),
    (r"local_project\.", "description.image_projector."),
    (r"SEG_token_projector\.", "description.fusion."),
    (r"d_layers\.layers\.0\.0\.norm_media\.", "description.d_projector.norm_image."),
    (r"d_layers\.layers\.0\.0\.norm_latents\.", "description.d_projector.norm_latent."),
    (r"d_layers\.layers\.0\.0\.", "description.d_projector."),
    (r"d_layers\.layers\.0\.1\.", "description.d_projector.feed_forward."),
    (r"d_layers\.norm\.", "description.d_projector.norm."),
    (r"pixel_decoder\.transformer\.level_embed", "pixel_decoder.level_embed"),
    (r"pixel_decoder\.transformer\.encoder\.layers\.", "pixel_decoder.layers."),
    (r"pixel_decoder\.adapter_1\.", "pixel_decoder.lateral."),
    (r"pixel_decoder\.layer_1\.", "pixel_decoder.output."),
    (
        r"predictor\.transformer_cross_attention_layers\.(\d+)\.multihead_attn\.",
        r"mask_decoder.layers.\1.cross_attention.",
    ),
    (rf"{_DECODER}cross_attention_layers\.(\d+)\.norm\.", r"mask_decoder.layers.\1.cross_norm."),
    (rf"{_DECODER}self_attention_layers\.(\d+)\.self_attn\.", r"mask_decoder.layers.\1.self_attention."),
    (rf"{_DECODER}self_attention_layers\.(\d+)\.norm\.", r"mask_decoder.layers.\1.self_norm."),
    (rf"{_DECODER}ffn_layers\.(\d+)\.norm\.", r"mask_decoder.layers.\1.ffn_norm."),
    (rf"{_DECODER}ffn_layers\.(\d+)\.", r"mask_decoder.layers.\1."),
    (r"predictor\.decoder_norm\.", "mask_decoder.norm."),
    (r"predictor\.level_embed\.weight", "mask_decoder.level_embed"),
    (r"predictor\.mask_embed\.layers\.0\.", "mask_decoder.mask_embed.0."),
    (r"predictor\.mask_embed\.layers\.1\.", "mask_decoder.mask_embed.2."),
    (r"predictor\.mask_embed\.layers\.2\.", "mask_decoder.mask_embed.4."),
)
"""Patterns for the start of published names, and our replacements; see `rename`."""

UNUSED = re.compile(
    r"seg_query|predictor\.(query_feat|query_embed|SEG_query_embed|new_query_embed)\.weight"
    r"|predictor\.(SEG|CLASS)_proj\..*|.*\.relative_position_index"
)
"""Published names that nothing uses."""
_FUSED = re.compile(r"(.*\.self_attn\.)query_key_value\.(weight|bias)")


def our_name(published: str, table: Table = RENAMES) -> str:
    """Return our name of a published tensor."""
    return rename(published, table)


def split_fused(tensor: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split Phi's fused projection, whose rows are (heads, 3, head_dim), into query, key and value."""
    parts = tensor.view(heads, 3, tensor.shape[0] // (3 * heads), *tensor.shape[1:])  # (heads, 3, d, ...)
    q, k, v = (parts[:, n].reshape(-1, *tensor.shape[1:]).contiguous() for n in range(3))  # (heads * d, ...) each
    return q, k, v


def convert_state(
    published: Iterable[tuple[str, Tensor]],
    expected: Mapping[str, torch.Size],
    config: SegEarthR1Config,
    table: Table = RENAMES,
    unused: re.Pattern[str] = UNUSED,
) -> tuple[dict[str, Tensor], Report]:
    """Rename and split the tensors of a published checkpoint.

    Args:
        published: published names and tensors.
        expected: our names and shapes.
        config: configuration of the model.
        table: published names and ours; those of SegEarth-R1 by default.
        unused: pattern of published names that nothing uses.
    """
    heads = config.text_config.num_attention_heads

    def translate(name: str, tensor: Tensor) -> dict[str, Tensor]:
        ours = our_name(name, table)
        fused = _FUSED.fullmatch(ours)
        if not fused or tensor.shape[0] % (3 * heads):
            return {ours: tensor}
        parts = zip(("q_proj", "k_proj", "v_proj"), split_fused(tensor, heads), strict=True)
        return {f"{fused[1]}{part}.{fused[2]}": value for part, value in parts}

    return convert_tensors(published, expected, translate, unused)


def convert_published(
    source: Path, target: Path, dtype: str = "float32", config: SegEarthR1Config | None = None
) -> Report:
    """Convert a published folder, such as `earth-insights/SegEarth-R1-EarthReason`, into our format.

    Args:
        source: folder with config.json, safetensors (or .bin) and the tokenizer.
        target: folder to write; must not exist, or be empty.
        dtype: name of the dtype to write.
        config: configuration of the model, if it is not the published one.

    Raises:
        EarthReasonError: names or shapes are not as expected (all listed), or a file is missing.
    """
    config = config or SegEarthR1Config()
    return convert_folder("SegEarth-R1", SegEarthR1Model, SegEarthR1Processor, config, source, target, dtype)


def convert_folder(
    name: str,
    model: type[PreTrainedModel],
    processor_class: type[Processor],
    config: SegEarthR1Config,
    source: Path,
    target: Path,
    dtype: str,
    table: Table = RENAMES,
    unused: re.Pattern[str] = UNUSED,
) -> Report:
    """Convert the folder of a `model` on Phi; `table` and `unused` as in `convert_state`.

    Raises:
        EarthReasonError: names or shapes are not as expected (all listed), or a file is missing.
    """
    state, report = convert_state(read_tensors(source), shapes_of(model, config), config, table, unused)
    report.check(str(source), name)
    processor = processor_class.from_pretrained(source, config)
    tokens, rows = len(processor.tokenizer), config.text_config.vocab_size
    if tokens > rows:
        raise EarthReasonError(f"{source}: the tokenizer has {tokens} tokens, the model {rows}")
    save_checkpoint(model, config, state, processor, target, dtype)
    return report


def read_settings(path: Path) -> SegEarthR1Config:
    """Read a configuration from a JSON file.

    Raises:
        EarthReasonError: the file is missing, or is not a configuration of SegEarth-R1.
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no configuration {path}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return SegEarthR1Config(**{key: value for key, value in values.items() if key != "model_type"})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EarthReasonError(f"{path}: not a configuration of SegEarth-R1 ({error})") from None


def convert(options: ConversionOptions) -> Report:
    """Convert a published checkpoint for the model registry."""
    config = None if options.config is None else read_settings(options.config)
    return convert_published(Path(options.source), options.target, options.dtype, config)
