"""Mask2Former with a Swin encoder as a part of SegEarth-R1 and PSALM, from detectron2's pickle or from transformers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig

from earthreason.errors import DataFormatError, DataNotFoundError

from ..common.assembly import Part, local_folder
from ..common.conversion import Table, read_arrays, rename
from ..common.devices import DTYPES
from ..common.weights import read_tensors
from .conversion import our_name
from .pixel_decoder import LEVELS

PICKLED_HEADS = 8
"""Attention heads of the decoders in detectron2's models, which the shapes do not tell."""
_LEFT_OUT = re.compile(
    r"(sem_seg_head\.predictor\.(class_embed|query_feat|static_query)|class_predictor|criterion"
    r"|(model\.)?transformer_module\.queries_features|(model\.)?pixel_level_module\.encoder\.swin\.layernorm)\..*"
    r"|.*\.relative_position_index"
)
"""Heads, queries and buffers that neither model uses."""
_BLOCK = r"layers\.(\d+)\.blocks\.(\d+)\."
_SWIN: Table = (
    (rf"{_BLOCK}layernorm_before\.", r"layers.\1.blocks.\2.norm1."),
    (rf"{_BLOCK}layernorm_after\.", r"layers.\1.blocks.\2.norm2."),
    (rf"{_BLOCK}attention\.output\.dense\.", r"layers.\1.blocks.\2.attn.proj."),
    (rf"{_BLOCK}attention\.self\.(query|key|value)\.", r"layers.\1.blocks.\2.attn.qkv.\3."),
    (rf"{_BLOCK}attention\.self\.relative", r"layers.\1.blocks.\2.attn.relative"),
    (rf"{_BLOCK}intermediate\.dense\.", r"layers.\1.blocks.\2.mlp.fc1."),
    (rf"{_BLOCK}output\.dense\.", r"layers.\1.blocks.\2.mlp.fc2."),
)
_ENCODER = r"(?:model\.)?pixel_level_module\.encoder\.(?:swin\.)?"
_PIXELS = r"(?:model\.)?pixel_level_module\.decoder\."
_MASKS = r"(?:model\.)?transformer_module\."
_TRANSFORMERS: Table = (
    (rf"{_ENCODER}embeddings\.patch_embeddings\.projection\.", "vision_tower.patch_embed.proj."),
    (rf"{_ENCODER}embeddings\.norm\.", "vision_tower.patch_embed.norm."),
    *((rf"{_ENCODER}hidden_states_norms\.stage{n + 1}\.", f"vision_tower.norm{n}.") for n in range(4)),
    *((rf"{_ENCODER}encoder\.{pattern}", f"vision_tower.{ours}") for pattern, ours in _SWIN),
    (rf"{_ENCODER}encoder\.", "vision_tower."),
    (rf"{_PIXELS}input_projections\.", "pixel_decoder.input_proj."),
    (rf"{_PIXELS}encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"pixel_decoder.layers.\1.norm1."),
    (rf"{_PIXELS}encoder\.layers\.(\d+)\.final_layer_norm\.", r"pixel_decoder.layers.\1.norm2."),
    (rf"{_PIXELS}encoder\.layers\.(\d+)\.fc([12])\.", r"pixel_decoder.layers.\1.linear\2."),
    (rf"{_PIXELS}encoder\.", "pixel_decoder."),
    (rf"{_PIXELS}adapter_1\.", "pixel_decoder.lateral."),
    (rf"{_PIXELS}layer_1\.", "pixel_decoder.output."),
    (rf"{_PIXELS}mask_projection\.", "pixel_decoder.mask_features."),
    (rf"{_PIXELS}", "pixel_decoder."),
    (
        rf"{_MASKS}decoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.",
        r"mask_decoder.layers.\1.self_attention.in_proj_\2.",
    ),
    (rf"{_MASKS}decoder\.layers\.(\d+)\.self_attn\.", r"mask_decoder.layers.\1.self_attention."),
    (rf"{_MASKS}decoder\.layers\.(\d+)\.cross_attn\.", r"mask_decoder.layers.\1.cross_attention."),
    (rf"{_MASKS}decoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"mask_decoder.layers.\1.self_norm."),
    (rf"{_MASKS}decoder\.layers\.(\d+)\.cross_attn_layer_norm\.", r"mask_decoder.layers.\1.cross_norm."),
    (rf"{_MASKS}decoder\.layers\.(\d+)\.final_layer_norm\.", r"mask_decoder.layers.\1.ffn_norm."),
    (rf"{_MASKS}decoder\.layers\.(\d+)\.fc([12])\.", r"mask_decoder.layers.\1.linear\2."),
    (rf"{_MASKS}decoder\.layernorm\.", "mask_decoder.norm."),
    *(
        (rf"{_MASKS}decoder\.mask_predictor\.mask_embedder\.{n}\.0\.", f"mask_decoder.mask_embed.{2 * n}.")
        for n in range(3)
    ),
    (rf"{_MASKS}level_embed\.weight", "mask_decoder.level_embed"),
    (rf"{_MASKS}queries_embedder\.weight", "query_positions"),
)
"""Names in the files of transformers, which are older than those of its modules, and ours."""
_APART = re.compile(r"(.*\.attn\.qkv\.|.*\.in_proj_)(query|key|value|q|k|v)\.(weight|bias)")
_DETECTRON2: Table = (
    (r"backbone\.", "model.vision_tower."),
    (r"sem_seg_head\.pixel_decoder\.(adapter_1|layer_1)\.norm\.", r"pixel_decoder.\1.1."),
    (r"sem_seg_head\.pixel_decoder\.(adapter_1|layer_1)\.", r"pixel_decoder.\1.0."),
    (r"sem_seg_head\.pixel_decoder\.", "pixel_decoder."),
    (r"sem_seg_head\.predictor\.query_embed\.weight", "query_positions"),
    (r"sem_seg_head\.predictor\.", "predictor."),
)
"""Names of detectron2, and those of the published SegEarth-R1."""


def load_mask2former(source: str, dtype: str) -> tuple[Part, dict[str, Any]]:
    """Load image encoder and decoders of a Mask2Former.

    Args:
        source: folder or Hub id in the format of transformers, or detectron2's pickle (`model_final_54b88a.pkl`).
        dtype: name of the dtype.

    Returns:
        The part by our names, and its settings of `SegEarthR1Config`. The part has its `query_positions` too, which
        SegEarth-R1 does not use.

    Raises:
        EarthReasonError: it cannot be loaded, or is no Mask2Former with Swin.
    """
    pickled = source.endswith(".pkl")
    if pickled and not Path(source).is_file():
        raise DataNotFoundError(f"there is no file {source}")
    if pickled:
        tensors, left_out = translate(_pickled(Path(source)), _from_detectron2)
    else:
        tensors, left_out = translate(read_tensors(local_folder(source)), lambda name: rename(name, _TRANSFORMERS))
    tensors = {name: tensor.to(DTYPES[dtype]) for name, tensor in tensors.items()}
    try:
        heads = PICKLED_HEADS if pickled else _heads_of(source)
        settings = settings_of(tensors, heads)
    except (KeyError, ValueError, ZeroDivisionError):
        raise DataFormatError(f"{source}: these are not the weights of a Mask2Former with a Swin encoder") from None
    for layer in ("lateral", "output"):  # detectron2's convolutions have no bias, so those here start at zero
        tensors[f"pixel_decoder.{layer}.0.bias"] = torch.zeros(settings["decoder_dim"], dtype=DTYPES[dtype])
    return Part("mask2former", source, tensors, left_out), settings


def _pickled(path: Path) -> Iterable[tuple[str, Tensor]]:
    return ((name, torch.from_numpy(array)) for name, array in read_arrays(path).items())


def _from_detectron2(name: str) -> str:
    return our_name(rename(name, _DETECTRON2))


def translate(given: Iterable[tuple[str, Tensor]], rule: Callable[[str], str]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename tensors, and join the query, key and value that transformers keeps apart.

    Returns:
        Tensors by our names, and the names that nothing uses.
    """
    tensors: dict[str, Tensor] = {}
    apart: dict[str, dict[str, Tensor]] = {}
    left_out = []
    for name, tensor in given:
        ours = rule(name)
        if joined := _APART.fullmatch(ours):
            apart.setdefault(joined[1] + joined[3], {})[joined[2][0]] = tensor
        elif _LEFT_OUT.fullmatch(name):
            left_out.append(name)
        else:
            tensors[ours] = tensor
    for ours, parts in apart.items():
        tensors[ours] = torch.cat([parts[which] for which in "qkv"])
    return tensors, left_out


def _heads_of(source: str) -> int:
    return int(AutoConfig.from_pretrained(source).num_attention_heads)


def settings_of(tensors: Mapping[str, Tensor], heads: int) -> dict[str, Any]:
    """Return the settings of `SegEarthR1Config` that weights by our names have.

    Args:
        tensors: weights of image encoder and decoders.
        heads: attention heads of the decoders, which the shapes do not tell.

    Raises:
        KeyError: weights are missing.
    """
    stages = range(4)
    depths = [_count(tensors, rf"vision_tower\.layers\.{stage}\.blocks\.(\d+)\.norm1\.weight") for stage in stages]
    tables = [tensors[f"vision_tower.layers.{n}.blocks.0.attn.relative_position_bias_table"].shape for n in stages]
    points = tensors["pixel_decoder.layers.0.self_attn.attention_weights.weight"].shape[0] // (heads * LEVELS)
    return {
        "vision_dim": tensors["vision_tower.patch_embed.proj.weight"].shape[0],
        "vision_depths": tuple(depths),
        "vision_heads": tuple(shape[1] for shape in tables),
        "window_size": (math.isqrt(tables[0][0]) + 1) // 2,
        "decoder_dim": tensors["mask_decoder.norm.weight"].shape[0],
        "decoder_heads": heads,
        "pixel_decoder_layers": _count(tensors, r"pixel_decoder\.layers\.(\d+)\.norm1\.weight"),
        "pixel_decoder_ffn": tensors["pixel_decoder.layers.0.linear1.weight"].shape[0],
        "sampling_points": points,
        "mask_decoder_layers": _count(tensors, r"mask_decoder\.layers\.(\d+)\.self_norm\.weight"),
        "mask_decoder_ffn": tensors["mask_decoder.layers.0.linear1.weight"].shape[0],
    }


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return sum(re.fullmatch(pattern, name) is not None for name in tensors)
