"""Figures of the questions of a set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from earthreason.questions.measures import SetMeasures, Shares
from earthreason.reports.lettering import draw_bars
from earthreason.reports.svg import embed_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOUR = "#009e73"
_MOST_BARS = 30
_WIDTH, _BAR, _MARGIN = 6.0, 0.22, 0.9
"""Inches: width of a figure, height of a bar, height of what is not bars."""


def draw_measures(measures: SetMeasures) -> list[tuple[str, str]]:
    """Draw the measures of a set that are not single numbers: captions and figures as data URLs."""
    figures = []
    if measures.openings:
        caption = "Most frequent first three words, and their shares of the questions"
        openings = {text: 100 * share for text, share in measures.openings}
        figures.append(
            (caption, _draw(len(openings), lambda axis: draw_bars(axis, openings, "% of the questions", _COLOUR)))
        )
    if any(measures.nearest_counts):
        caption = "Similarity of each question to the one about another image that is most like it"
        figures.append((caption, _draw(8, lambda axis: _nearest(axis, measures.nearest_counts))))
    if measures.shortcuts:
        caption = (
            "How often words alone tell a fact about the image: mean over the classes of the share guessed right, with "
            "its 95 % interval; a grey line marks chance"
        )
        figures.append((caption, _draw(2 * len(measures.shortcuts), lambda axis: _shortcuts(axis, measures))))
    for name, shares in (("type of reasoning", measures.reasoning_types), ("category", measures.categories)):
        if shares.counts:
            more = len(shares.counts) - _MOST_BARS
            caption = f"Images by {name}" + (f"; {more} rarer ones are left out" if more > 0 else "")
            figures.append((caption, _draw(min(len(shares.counts), _MOST_BARS), _counted(shares))))
    return figures


def _draw(bars: int, draw: Callable[[Axes], None]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, _MARGIN + _BAR * bars), layout="constrained")
    axis = figure.subplots()
    draw(axis)
    axis.spines[["top", "right"]].set_visible(False)
    return embed_figure(figure)


def _counted(shares: Shares) -> Callable[[Axes], None]:
    shown = dict(list(shares.counts.items())[:_MOST_BARS])
    return lambda axis: draw_bars(axis, shown, "images", _COLOUR)


def _nearest(axis: Axes, counts: list[int]) -> None:
    edges = np.linspace(0, 1, len(counts) + 1)
    axis.stairs(counts, edges, fill=True, color=_COLOUR)
    axis.set(xlabel="similarity (cosine)", ylabel="questions", xlim=(0, 1))


def _shortcuts(axis: Axes, measures: SetMeasures) -> None:
    for row, shortcut in enumerate(measures.shortcuts):
        errors = [[shortcut.accuracy - shortcut.low], [shortcut.high - shortcut.accuracy]]
        axis.errorbar(shortcut.accuracy, row, xerr=errors, fmt="o", color=_COLOUR, capsize=4)
        axis.plot([shortcut.chance] * 2, [row - 0.3, row + 0.3], color="#888888", linewidth=2)
    axis.set_yticks(range(len(measures.shortcuts)), [shortcut.fact for shortcut in measures.shortcuts])
    axis.set(xlabel="balanced accuracy", xlim=(0, 1.02), ylim=(len(measures.shortcuts) - 0.5, -0.5))
