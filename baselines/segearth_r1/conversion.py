"""Published checkpoints, and the weights training starts from, turned into ours.

The published files name 935 tensors (spec segearth_r1, appendix A). Each either has one place here, is split (the fused
attention of Phi), or is known to be unused. Anything else, or a tensor of another shape, refuses the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from baselines.segearth_r1.configuration import SegEarthR1Config
from earthreason.errors import EarthReasonError

RENAMES: tuple[tuple[str, str], ...] = (
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
    (r"predictor\.transformer_cross_attention_layers\.(\d+)\.multihead_attn\.", r"mask_decoder.layers.\1.cross_attention."),
    (r"predictor\.transformer_cross_attention_layers\.(\d+)\.norm\.", r"mask_decoder.layers.\1.cross_norm."),
    (r"predictor\.transformer_self_attention_layers\.(\d+)\.self_attn\.", r"mask_decoder.layers.\1.self_attention."),
    (r"predictor\.transformer_self_attention_layers\.(\d+)\.norm\.", r"mask_decoder.layers.\1.self_norm."),
    (r"predictor\.transformer_ffn_layers\.(\d+)\.norm\.", r"mask_decoder.layers.\1.ffn_norm."),
    (r"predictor\.transformer_ffn_layers\.(\d+)\.", r"mask_decoder.layers.\1."),
    (r"predictor\.decoder_norm\.", "mask_decoder.norm."),
    (r"predictor\.level_embed\.weight", "mask_decoder.level_embed"),
    (r"predictor\.mask_embed\.layers\.0\.", "mask_decoder.mask_embed.0."),
    (r"predictor\.mask_embed\.layers\.1\.", "mask_decoder.mask_embed.2."),
    (r"predictor\.mask_embed\.layers\.2\.", "mask_decoder.mask_embed.4."),
)
"""Beginnings of published names and of ours; the first that fits is used, and names that fit none stay."""

UNUSED = re.compile(
    r"seg_query|predictor\.(query_feat|query_embed|SEG_query_embed|new_query_embed)\.weight"
    r"|predictor\.(SEG|CLASS)_proj\..*|.*\.relative_position_index"
)
"""In the published files, used by nothing."""
_FUSED = re.compile(r"(.*\.self_attn\.)query_key_value\.(weight|bias)")


@dataclass
class Report:
    """What became of the tensors of a checkpoint.

    Attributes:
        dropped: names known to be unused.
        unknown: names that have no place.
        missing: our names that nothing filled.
        misshapen: "name: found (..), expected (..)".
    """

    dropped: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    def check(self, source: str) -> None:
        """Raise `EarthReasonError` with the first of every kind if the checkpoint does not fit."""
        kinds = {"without a place here": self.unknown, "missing": self.missing, "of another shape": self.misshapen}
        lines = [
            f"  {len(names)} tensors {kind}: {'; '.join(names[:5])}{'; ...' if len(names) > 5 else ''}"
            for kind, names in kinds.items()
            if names
        ]
        if lines:
            raise EarthReasonError(f"{source} is not a SegEarth-R1 checkpoint of this configuration:\n" + "\n".join(lines))


def our_name(published: str) -> str:
    """Our name of a published tensor."""
    for pattern, replacement in RENAMES:
        renamed, count = re.subn(f"^{pattern}", replacement, published)
        if count:
            return renamed
    return published


def split_fused(tensor: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of Phi's fused projection, whose rows go head by head: (heads, 3, head_dim, ...)."""
    parts = tensor.view(heads, 3, tensor.shape[0] // (3 * heads), *tensor.shape[1:])
    q, k, v = (parts[:, n].reshape(-1, *tensor.shape[1:]).contiguous() for n in range(3))
    return q, k, v


def convert_state(
    published: Iterable[tuple[str, Tensor]], expected: Mapping[str, torch.Size], config: SegEarthR1Config
) -> tuple[dict[str, Tensor], Report]:
    """Rename and split the tensors of a published checkpoint.

    Args:
        published: names and tensors.
        expected: our names and shapes.
        config: of the model; its language model has the fused attention split.
    """
    report, state = Report(), {}
    heads = config.text_config.num_attention_heads
    for name, tensor in published:
        if UNUSED.fullmatch(name):
            report.dropped.append(name)
            continue
        fused = _FUSED.fullmatch(our_name(name))
        if fused and tensor.shape[0] % (3 * heads) == 0:
            parts = zip(("q_proj", "k_proj", "v_proj"), split_fused(tensor, heads), strict=True)
            found = {f"{fused[1]}{part}.{fused[2]}": value for part, value in parts}
        else:
            found = {our_name(name): tensor}
        for ours, value in found.items():
            if ours not in expected:
                report.unknown.append(name)
            elif value.shape != expected[ours]:
                report.misshapen.append(f"{name}: found {tuple(value.shape)}, expected {tuple(expected[ours])}")
            else:
                state[ours] = value
    wrong = {our_name(line.split(":")[0]) for line in report.misshapen}
    report.missing = sorted(name for name in expected if name not in state and name not in wrong)
    return state, report
