"""Figures and a table of the statistics of a set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from earthreason.data.stats import PAPER_ANSWER_WORDS, PAPER_QUESTION_WORDS, Statistics, summary
from earthreason.files import atomic_path, write_json
from earthreason.reports.svg import save_figure
from earthreason.reports.tables import new_table, print_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR, _ACCENT = "#009e73", "#e6550d"


def print_statistics(statistics: Statistics, console: Console) -> None:
    """Print counts and summaries."""
    splits = ", ".join(
        f"{split} {count} ({statistics.empty[split]} empty)" for split, count in statistics.samples.items()
    )
    console.print(splits, soft_wrap=True)
    official = statistics.is_official
    table = new_table(
        "measure", numbers=("n", "mean", "median", "min", "max", *(("paper's mean",) if official else ()))
    )
    rows = (
        ("target, share of the image", statistics.target_shares, None),
        ("longer side, px", statistics.sides, None),
        ("GSD, m per pixel", statistics.resolutions, None),
        ("question, words", statistics.question_words, PAPER_QUESTION_WORDS),
        ("answer, words", statistics.answer_words, PAPER_ANSWER_WORDS),
        ("patch redundancy", statistics.redundancy, None),
    )
    for name, values, paper in rows:
        numbers = summary(values)
        shown = ["–" if numbers[key] is None else f"{numbers[key]:.4g}" for key in ("mean", "median", "min", "max")]
        table.add_row(name, str(numbers["n"]), *shown, *(("" if paper is None else f"{paper:g}",) if official else ()))
    print_table(table, console)


def draw_figures(statistics: Statistics, folder: Path) -> None:
    """Write SVG figures and statistics.json into `folder`, which appears when it is complete."""
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for name, draw in _FIGURES.items():
            _save(temporary / f"{name}.svg", draw, statistics)
        write_json(temporary / "statistics.json", statistics.to_dict())


def _save(path: Path, draw: Callable[[Axes, Statistics], None], statistics: Statistics) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axis = figure.subplots()
    draw(axis, statistics)
    axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _target_area(axis: Axes, statistics: Statistics) -> None:
    shares = np.array(statistics.target_shares or [1.0]) * 100
    axis.hist(shares, bins=np.geomspace(max(1e-3, shares.min()), 100, 30).tolist(), color=_COLOUR)
    axis.set(xscale="log", xlabel="target, % of the image", ylabel="samples")


def _sides(axis: Axes, statistics: Statistics) -> None:
    axis.hist(statistics.sides, bins=30, color=_COLOUR)
    axis.set(xlabel="longer side, pixels", ylabel="samples")


def _resolutions(axis: Axes, statistics: Statistics) -> None:
    if statistics.resolutions:
        low, high = min(statistics.resolutions), max(statistics.resolutions)
        axis.hist(statistics.resolutions, bins=np.geomspace(low, max(high, low * 1.01), 30).tolist(), color=_COLOUR)
        axis.set_xscale("log")
    axis.set(xlabel="GSD, metres per pixel" + ("" if statistics.resolutions else " (not stated)"), ylabel="samples")


def _lengths(axis: Axes, statistics: Statistics) -> None:
    words = {
        "questions": (statistics.question_words, PAPER_QUESTION_WORDS, _COLOUR),
        "answers": (statistics.answer_words, PAPER_ANSWER_WORDS, _ACCENT),
    }
    for name, (values, paper, colour) in words.items():
        if values:
            label = f"{name}, mean {np.mean(values):.1f}"
            axis.hist(values, bins=range(0, max(values) + 2), color=colour, alpha=0.6, label=label)
        if statistics.is_official:
            axis.axvline(paper, color=colour, linestyle="--", linewidth=1, label=f"paper's mean {paper:g}")
    axis.legend(frameon=False, fontsize=8)
    axis.set(xlabel="words", ylabel="texts")


def _empties(axis: Axes, statistics: Statistics) -> None:
    splits = list(statistics.samples)
    present = [statistics.samples[split] - statistics.empty[split] for split in splits]
    empty = [statistics.empty[split] for split in splits]
    axis.bar(splits, present, color=_COLOUR, label="target present")
    axis.bar(splits, empty, bottom=present, color=_ACCENT, label="no target")
    axis.legend(frameon=False, fontsize=8)
    axis.set_ylabel("samples")


def _bigrams(axis: Axes, statistics: Statistics) -> None:
    top = statistics.bigrams.most_common(15)[::-1]
    axis.barh([" ".join(pair) for pair, _ in top], [count for _, count in top], color=_COLOUR)
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xlabel("occurrences in questions")


def _redundancy(axis: Axes, statistics: Statistics) -> None:
    axis.hist(np.array(statistics.redundancy) * 100, bins=np.linspace(0, 100, 26).tolist(), color=_COLOUR)
    axis.set(xlabel="patches that resemble a neighbour, %", ylabel="images")


_FIGURES: dict[str, Callable[[Axes, Statistics], None]] = {
    "target_area": _target_area,
    "image_size": _sides,
    "gsd": _resolutions,
    "text_length": _lengths,
    "empty_targets": _empties,
    "bigrams": _bigrams,
    "patch_redundancy": _redundancy,
}
