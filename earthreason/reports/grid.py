"""A grid of pictures: one row per sample, with the image, the ground truth, and a column per model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from earthreason.overlay import PREDICTION_COLOUR, TRUTH_COLOUR, draw_overlay
from earthreason.reports.lettering import Lettering
from earthreason.reports.svg import save_figure
from earthreason.types import Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMN, _PICTURE, _LINE, _GAP = 2.6, 2.4, 0.145, 0.3
"""Inches: width of a column and of what is in it, height of a line of text, and gap between rows."""
_SIZE = 8
_SIDE = 320


@dataclass(frozen=True)
class Answer:
    """Mask that a model predicts for a sample.

    Attributes:
        model: heading of the column.
        mask: predicted mask, (height, width) bool; None for "no target".
        iou: IoU with the ground truth, as a fraction.
    """

    model: str
    mask: np.ndarray | None
    iou: float


def save_grid(path: Path, rows: Sequence[tuple[Sample, Sequence[Answer]]]) -> None:
    """Write the grid as a picture. Every row must have the same models."""
    save_figure(draw_grid(rows), path, dpi=110)


def draw_grid(rows: Sequence[tuple[Sample, Sequence[Answer]]]) -> Figure:
    """Draw the grid. Texts are wrapped in their columns, and a row is as high as its texts and its picture need."""
    from matplotlib.figure import Figure

    columns = 2 + len(rows[0][1])
    drawn = [_cells_of(sample, answers) for sample, answers in rows]
    lettering = Lettering.of(text for line in drawn for text, _ in line)
    cells = [
        [("\n".join(lettering.wrap(text, 72 * _PICTURE, _SIZE)), picture) for text, picture in line] for line in drawn
    ]
    heights = [
        _LINE * max(text.count("\n") + 1 for text, _ in line)
        + _PICTURE * min(1.0, line[0][1].height / line[0][1].width)
        + _GAP
        for line in cells
    ]
    figure = Figure(figsize=(_COLUMN * columns, sum(heights)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for line, shown in zip(axes, cells, strict=True):
        for axis, (text, picture) in zip(line, shown, strict=True):
            axis.imshow(picture)
            axis.set_title(text, fontsize=_SIZE, loc="left", family=lettering.families)
            axis.set_anchor("W")
            axis.set_axis_off()
    return figure


def _cells_of(sample: Sample, answers: Sequence[Answer]) -> list[tuple[str, Image.Image]]:
    """Return texts and pictures of a row."""
    cells = [
        (sample.questions[0], draw_overlay(sample.image, None, TRUTH_COLOUR, side=_SIDE)),
        (
            "ground truth: no target" if sample.is_empty else "ground truth",
            draw_overlay(sample.image, sample.mask, TRUTH_COLOUR, side=_SIDE),
        ),
    ]
    for answer in answers:
        said = "" if answer.mask is not None else ": no target"
        drawn = draw_overlay(sample.image, answer.mask, PREDICTION_COLOUR, side=_SIDE)
        cells.append((f"{answer.model}{said}\nIoU {answer.iou:.2f}", drawn))
    return cells
