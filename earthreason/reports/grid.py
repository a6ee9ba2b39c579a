"""A grid of pictures: one row per sample, with the image, the ground truth, and a column per model."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earthreason.overlay import PREDICTION_COLOUR, TRUTH_COLOUR, draw_overlay
from earthreason.reports.svg import save_figure
from earthreason.types import Sample


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
    from matplotlib.figure import Figure

    columns = 2 + len(rows[0][1])
    figure = Figure(figsize=(2.6 * columns, 3.0 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (sample, answers) in zip(axes, rows, strict=True):
        line[0].imshow(draw_overlay(sample.image, None, TRUTH_COLOUR, side=320))
        line[0].set_title("\n".join(textwrap.wrap(sample.questions[0], 38)), fontsize=7, loc="left")
        line[1].imshow(draw_overlay(sample.image, sample.mask, TRUTH_COLOUR, side=320))
        line[1].set_title("truth: no target" if sample.is_empty else "truth", fontsize=8)
        for axis, answer in zip(line[2:], answers, strict=True):
            axis.imshow(draw_overlay(sample.image, answer.mask, PREDICTION_COLOUR, side=320))
            said = "" if answer.mask is not None else ": no target"
            axis.set_title(f"{answer.model}{said}\nIoU {answer.iou:.2f}", fontsize=8)
        for axis in line:
            axis.set_axis_off()
    save_figure(figure, path, dpi=110)
