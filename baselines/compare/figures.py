"""Draw the figures of a comparison. Every model has one look, which tells any number of models apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from earthreason.reports.svg import save_figure

from .scores import ScoreRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe-Ito colours, distinguishable with any colour vision."""
_SHAPES = (("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."))
"""Markers and lines; the next pair is taken when the colours are used up."""

_DECADE = 10.0
"""Up to this ratio of speeds a logarithmic axis would have only long labels that run into each other."""


def draw_figures(rows: Sequence[ScoreRow], folder: Path) -> list[Path]:
    """Draw learning curves and gIoU by speed as SVG and PDF; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"curves": new_figure(), "speed": new_figure()}
    draw_curves(figures["curves"].subplots(), rows)
    draw_speed(figures["speed"].subplots(), rows)
    return [_save(figure, folder / f"{name}.{form}") for name, figure in figures.items() for form in ("svg", "pdf")]


def new_figure() -> Figure:
    """Make an empty figure of the common size."""
    from matplotlib.figure import Figure

    return Figure(figsize=(6.4, 3.6), layout="constrained")


def _look(place: int) -> tuple[str, str, str]:
    """Return colour, marker and line of the model in a row of the table."""
    rounds, colour = divmod(place, len(_COLOURS))
    marker, line = _SHAPES[rounds % len(_SHAPES)]
    return _COLOURS[colour], marker, line


def draw_curves(axis: Axes, rows: Sequence[ScoreRow]) -> None:
    """Draw the validation gIoU of all models that are trained by step: mean and range over the seeds."""
    for place, row in enumerate(rows):
        if not row.entry.curves:
            continue
        colour, marker, line = _look(place)
        steps = sorted(set.intersection(*(set(curve) for curve in row.entry.curves)))
        values = [[100 * curve[step] for curve in row.entry.curves] for step in steps]
        means = [sum(v) / len(v) for v in values]
        axis.plot(steps, means, color=colour, marker=marker, linestyle=line, markersize=3, label=row.entry.name)
        axis.fill_between(
            steps, [min(v) for v in values], [max(v) for v in values], color=colour, alpha=0.15, linewidth=0
        )
    axis.set_xlabel("step")
    axis.set_ylabel("gIoU on validation scenes, %")
    _finish(axis)


def draw_speed(axis: Axes, rows: Sequence[ScoreRow]) -> None:
    """Draw the gIoU of all models by speed, logarithmic if some are many times faster, as trivial ones are."""
    for place, row in enumerate(rows):
        colour, marker, _ = _look(place)
        giou = row.scores["gIoU"] or 0.0
        interval = row.interval
        error = None if interval is None else [[100 * (giou - interval.low)], [100 * (interval.high - giou)]]
        axis.errorbar(
            row.entry.samples_per_second,
            100 * giou,
            yerr=error,
            color=colour,
            marker=marker,
            capsize=3,
            linestyle="none",
            label=row.entry.name,
        )
    speeds = [row.entry.samples_per_second for row in rows]
    if max(speeds) > _DECADE * min(speeds):
        axis.set_xscale("log")
    else:
        axis.set_xlim(0, 1.1 * max(speeds))
    axis.set_xlabel("samples per second")
    axis.set_ylabel("gIoU, %")
    _finish(axis)


def _finish(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    axis.set_ylim(bottom=0)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _save(figure: Figure, path: Path) -> Path:
    save_figure(figure, path)
    return path
