"""Figures, a table and a page of the statistics of a set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from earthreason.data.stats import PAPER_ANSWER_WORDS, PAPER_QUESTION_WORDS, Statistics, summary
from earthreason.files import atomic_path, write_json
from earthreason.reports.page import write_page
from earthreason.reports.svg import embed_svg, save_figure
from earthreason.reports.tables import new_table, print_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR, _ACCENT = "#009e73", "#e6550d"
_MOST_CATEGORIES, _MOST_PAIRS = 30, 15
_BAR, _MARGIN = 0.2, 0.9
"""Inches: height of a horizontal bar, and of what is not bars."""
_COLUMNS = ("mean", "median", "min", "max")


@dataclass(frozen=True)
class Measure:
    """A row of the table of measures, with its numbers as text.

    Attributes:
        name: what is measured.
        unit: unit of the numbers.
        n: number of values.
        numbers: mean, median, minimum and maximum; a dash where there are no values.
        paper: mean that the paper states of the official release; empty if it states none, or for another set.
    """

    name: str
    unit: str
    n: str
    numbers: list[str]
    paper: str


def list_measures(statistics: Statistics) -> list[Measure]:
    """List the measures of a set with their summaries."""
    found: list[tuple[str, str, Sequence[float], float, float | None]] = [
        ("target", "% of the image", statistics.target_shares, 100, None),
        ("longer side", "pixels", statistics.sides, 1, None),
        ("GSD", "m per pixel", statistics.resolutions, 1, None),
        ("question", "words", statistics.question_words, 1, PAPER_QUESTION_WORDS),
        ("answer", "words", statistics.answer_words, 1, PAPER_ANSWER_WORDS),
        ("patch redundancy", "% of the patches", statistics.redundancy, 100, None),
    ]
    measures = []
    for name, unit, values, scale, paper in found:
        numbers = summary(scale * value for value in values)
        shown = ["–" if numbers[column] is None else f"{numbers[column]:.4g}" for column in _COLUMNS]
        measures.append(
            Measure(
                name,
                unit,
                f"{numbers['n']:,}",
                shown,
                "" if paper is None or not statistics.is_official else f"{paper:g}",
            )
        )
    return measures


def print_statistics(statistics: Statistics, console: Console) -> None:
    """Print counts and summaries."""
    splits = ", ".join(
        f"{split} {count} ({statistics.empty[split]} empty)" for split, count in statistics.samples.items()
    )
    console.print(splits, soft_wrap=True)
    official = statistics.is_official
    table = new_table("measure", numbers=("n", *_COLUMNS, *(("paper's mean",) if official else ())))
    for measure in list_measures(statistics):
        paper = (measure.paper,) if official else ()
        table.add_row(f"{measure.name}, {measure.unit}", measure.n, *measure.numbers, *paper)
    print_table(table, console)


def draw_figures(statistics: Statistics, folder: Path, title: str = "Statistics") -> Path:
    """Write SVG figures, statistics.json and a page with both into `folder`, which appears when it is complete.

    Args:
        statistics: statistics to show.
        folder: folder to write.
        title: heading of the page.

    Returns:
        Path of the page.
    """
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        figures = []
        for name, figure in _FIGURES.items():
            if figure.applies(statistics):
                file = temporary / f"{name}.svg"
                _save(file, figure, statistics)
                figures.append({"title": figure.title, "about": figure.about, "src": embed_svg(file.read_text())})
        write_json(temporary / "statistics.json", statistics.to_dict())
        write_page(
            temporary / "index.html",
            "statistics.html",
            title=title,
            samples=statistics.samples,
            empty=statistics.empty,
            measures=list_measures(statistics),
            columns=_COLUMNS,
            official=statistics.is_official,
            figures=figures,
        )
    return folder / "index.html"


@dataclass(frozen=True)
class _Figure:
    """How to draw a figure.

    Attributes:
        title: what it shows.
        about: explanation below it.
        draw: function that draws it.
        bars: function that gives the number of horizontal bars; None for a figure of the usual height.
        applies: function that tells whether the set has what it shows.
    """

    title: str
    about: str
    draw: Callable[[Axes, Statistics], None]
    bars: Callable[[Statistics], int] | None = None
    applies: Callable[[Statistics], bool] = lambda _: True


def _save(path: Path, figure: _Figure, statistics: Statistics) -> None:
    from matplotlib.figure import Figure

    height = 3.4 if figure.bars is None else max(3.4, _MARGIN + _BAR * figure.bars(statistics))
    drawn = Figure(figsize=(6, height), layout="constrained")
    axis = drawn.subplots()
    figure.draw(axis, statistics)
    axis.set_title(figure.title, fontsize=11, loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    save_figure(drawn, path)


def _target_area(axis: Axes, statistics: Statistics) -> None:
    shares = np.array(statistics.target_shares or [1.0]) * 100
    axis.hist(shares, bins=np.geomspace(max(1e-3, shares.min()), 100, 30).tolist(), color=_COLOUR)
    axis.set(xscale="log", xlabel="area of the target, % of the image", ylabel="samples")
    axis.xaxis.set_major_formatter("{x:g}")


def _sides(axis: Axes, statistics: Statistics) -> None:
    low, high = min(statistics.sides, default=0), max(statistics.sides, default=1)
    ends = (0.5 * low, 1.5 * high) if low == high else (low, high)
    axis.hist(statistics.sides, bins=31, range=ends, color=_COLOUR)
    axis.set(xlabel="longer side, pixels", ylabel="samples")


def _resolutions(axis: Axes, statistics: Statistics) -> None:
    low, high = min(statistics.resolutions), max(statistics.resolutions)
    axis.hist(statistics.resolutions, bins=np.geomspace(low, max(high, low * 1.01), 30).tolist(), color=_COLOUR)
    axis.set(xscale="log", xlabel="GSD, metres per pixel", ylabel="samples")
    axis.xaxis.set_major_formatter("{x:g}")


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
    top = statistics.bigrams.most_common(_MOST_PAIRS)
    _bars(axis, {" ".join(pair): count for pair, count in top}, "occurrences in all questions")


def _categories(axis: Axes, statistics: Statistics) -> None:
    _bars(axis, dict(statistics.categories.most_common(_MOST_CATEGORIES)), "samples")


def _bars(axis: Axes, counts: dict[str, int], label: str) -> None:
    axis.barh(list(counts), list(counts.values()), height=0.7, color=_COLOUR)
    axis.invert_yaxis()
    axis.margins(y=0.02)
    axis.tick_params(axis="y", length=0, labelsize=8)
    axis.set_xlabel(label)


def _redundancy(axis: Axes, statistics: Statistics) -> None:
    axis.hist(np.array(statistics.redundancy) * 100, bins=np.linspace(0, 100, 26).tolist(), color=_COLOUR)
    axis.set(xlabel="patches that resemble a neighbour, %", ylabel="images")


_FIGURES = {
    "target_area": _Figure(
        "Area of the target", "Samples with a target; the scale of the areas is logarithmic.", _target_area
    ),
    "image_size": _Figure("Size of the images", "Length of the longer side.", _sides),
    "gsd": _Figure(
        "Ground sampling distance (GSD)",
        "Where the source states it; the scale is logarithmic.",
        _resolutions,
        applies=lambda statistics: bool(statistics.resolutions),
    ),
    "text_length": _Figure(
        "Length of questions and answers", "Dashed, for the official release: the mean lengths of the paper.", _lengths
    ),
    "empty_targets": _Figure(
        "Samples by split", "Orange: samples whose questions nothing in the image answers.", _empties
    ),
    "bigrams": _Figure(
        "Most frequent pairs of words",
        "In the questions, in lower case.",
        _bigrams,
        lambda statistics: min(len(statistics.bigrams), _MOST_PAIRS),
    ),
    "categories": _Figure(
        "Samples by category",
        f"The most frequent ones, at most {_MOST_CATEGORIES}.",
        _categories,
        lambda statistics: min(len(statistics.categories), _MOST_CATEGORIES),
        lambda statistics: bool(statistics.categories),
    ),
    "patch_redundancy": _Figure(
        "Patch redundancy",
        "Share of the patches of 16 x 16 pixels that resemble a neighbour (cosine similarity above 0.95).",
        _redundancy,
    ),
}
