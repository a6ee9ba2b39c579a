"""Draw the figures of the page. Each function returns whether there was data to draw."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from benchmarks.gpu.collect.cells import LABELS
from benchmarks.gpu.collect.goals import FLOOR
from benchmarks.gpu.collect.rows import DTYPES, WAYS, Row, curve_points, number_at, set_name

COLOURS = {"reference": "#999999", "ours": "#0072b2", "graphs": "#d55e00", "compiled": "#009e73"}


def draw_inference(figure: Figure, rows: list[Row]) -> bool:
    """Draw bars of images per second: a panel for each precision, a group for each batch."""
    timed = [row for row in rows if number_at(row, "images_per_s") and number_at(row, "batch")]
    rates = {
        (row["dtype"], row["batch"], row["way"]): row["images_per_s"] for row in timed if row.get("dtype") in DTYPES
    }
    dtypes = [dtype for dtype in DTYPES if any(key[0] == dtype for key in rates)]
    if not dtypes:
        return False
    ways = [way for way in WAYS if any(key[2] == way for key in rates)]
    widths = [max(2, len({key[1:] for key in rates if key[0] == dtype})) + 1 for dtype in dtypes]
    panels = figure.subplots(1, len(dtypes), sharey=True, squeeze=False, width_ratios=widths)[0]
    top = max(rates.values())
    for axis, dtype in zip(panels, dtypes, strict=True):
        ticks, at = [], 0.0
        for batch in sorted({key[1] for key in rates if key[0] == dtype}):
            begin = at
            for way in ways:
                if (rate := rates.get((dtype, batch, way))) is not None:
                    axis.bar(at, rate, 0.9, color=COLOURS[way])
                    label = f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"
                    axis.text(at, rate + top / 80, label, ha="center", va="bottom", fontsize=6)
                    at += 1
            ticks.append(((begin + at - 1) / 2, f"{batch:g}"))
            at += 0.8
        axis.set_xticks([x for x, _ in ticks], [label for _, label in ticks])
        axis.tick_params(axis="x", length=0)
        axis.set_xlabel(f"batch, {LABELS.get(dtype, dtype)}")
        _style(axis, "y")
    panels[0].set_ylabel("images per second")
    panels[0].set_ylim(0, top * 1.08)
    bars = [Patch(color=COLOURS[way], label=LABELS[way]) for way in ways]
    figure.legend(handles=bars, loc="outside upper center", ncols=len(ways), frameon=False)
    return True


def draw_learning(figure: Figure, rows: list[Row]) -> bool:
    """Draw the scores on validation scenes by minute."""
    axis = figure.subplots()
    for name, colour in (("gIoU", "#0072b2"), ("N-acc", "#009e73"), ("T-acc", "#d55e00")):
        points = [(row["minute"], 100 * value) for row in rows if (value := number_at(row, name)) is not None]
        if len(points) > 1:  # one is in the table already
            axis.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=3, label=name)
    if not axis.lines:
        return False
    axis.set_xlabel("minute")
    axis.set_ylabel("validation scenes, %")
    axis.set_xlim(left=0)
    axis.set_ylim(0, 103)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(frameon=False, loc="outside right upper")
    _style(axis)
    return True


def draw_presence(figure: Figure, rows: list[Row]) -> bool:
    """Draw N-acc against T-acc over all thresholds: a line for each set."""
    curves = [(set_name(row), points) for row in rows if (points := curve_points(row))]
    if not curves:
        return False
    axis = figure.subplots()
    axis.axhline(100 * FLOOR, color="#999999", linewidth=0.8, linestyle=":")
    for (name, points), colour in zip(curves, ("#0072b2", "#009e73", "#d55e00", "#222222"), strict=False):
        xs, ys = zip(*sorted(points, key=lambda point: (point[0], -point[1])), strict=True)
        axis.plot([100 * x for x in xs], [100 * y for y in ys], color=colour, label=name)
    axis.set_xlabel("N-acc: empty targets recognized, %")
    axis.set_ylabel("T-acc: other targets answered, %")
    axis.set_xlim(0, 101)
    axis.set_ylim(0, 101)
    axis.legend(frameon=False, loc="lower left", fontsize=7)
    _style(axis)
    return True


def _style(axis: Axes, grid: str = "both") -> None:
    axis.grid(alpha=0.25, axis=grid)  # type: ignore[arg-type]
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
