"""Convert published PSALM checkpoints, such as `EnmingZhang/PSALM`.

SegEarth-R1 is a fork of PSALM, so most names are those of its converter. What serves other tasks only (categories,
regions, words) is left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..common.conversion import Report, Table
from ..registry import ConversionOptions
from ..segearth_r1 import conversion as segearth_r1
from .modeling import PsalmConfig, PsalmModel
from .predictor import PsalmProcessor

_CONNECTOR = r"model\.mm_projector\.layer1\.0\."
RENAMES: Table = (
    (r"seg_query_projector\.", "query_projector."),
    (r"SEG_token_projector\.", "condition_projector."),
    (rf"{_CONNECTOR}downsample\.", "connector.shortcut."),
    (rf"{_CONNECTOR}bn", "connector.norm"),
    (_CONNECTOR, "connector."),
    (r"predictor\.query_embed\.weight", "query_positions"),
    (r"predictor\.SEG_proj\.layers\.0\.", "score_projector.0."),
    (r"predictor\.SEG_proj\.layers\.1\.", "score_projector.2."),
    *segearth_r1.RENAMES,
)
"""Patterns for the start of published names, and our replacements; see `rename`."""
UNUSED = re.compile(
    r"lm_head\.weight|(class_name|region)_projector\..*|region_sampler\..*"
    r"|predictor\.(query_feat|SEG_query_embed)\.weight|predictor\.(CLASS|REGION)_proj\..*"
    r"|.*\.relative_position_index"
)
"""Published names that questions with one mask do not use."""


def convert_published(source: Path, target: Path, dtype: str = "float32", config: PsalmConfig | None = None) -> Report:
    """Convert a published folder into our format.

    Args:
        source: folder with config.json, weights (.bin or safetensors) and the tokenizer.
        target: folder to write; must not exist, or be empty.
        dtype: name of the dtype to write.
        config: configuration of the model, if it is not the published one.

    Raises:
        EarthReasonError: names or shapes are not as expected (all listed), or a file is missing.
    """
    config = config or PsalmConfig()
    return segearth_r1.convert_folder(
        "PSALM", PsalmModel, PsalmProcessor, config, source, target, dtype, RENAMES, UNUSED
    )


def convert(options: ConversionOptions) -> Report:
    """Convert a published checkpoint for the model registry."""
    return convert_published(Path(options.source), options.target, options.dtype)
