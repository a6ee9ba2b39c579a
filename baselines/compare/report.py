"""The comparison as a Markdown page and two figures."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from baselines.compare.scores import METRICS, ScoreRow
from baselines.compare.suite import Suite
from earthreason.files import atomic_path, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe-Ito: told apart with any colour vision."""
PUBLISHED = (
    ("LISA", "CLIP-L + SAM", "Vicuna-7B", 60.88, 59.10),
    ("PixelLM", "CLIP-L", "Vicuna-7B", 60.01, 59.22),
    ("PSALM", "Swin-B", "phi-1.5", 68.30, 64.61),
    ("SegEarth-R1", "Swin-B", "phi-1.5", 70.75, 68.25),
)
"""Paper arXiv 2504.09644, Table 2, EarthReason test, percent: gIoU, cIoU."""


def write_page(path: Path, suite: Suite, rows: Sequence[ScoreRow], command: str, figures: Path) -> None:
    """Write the page.

    Args:
        path: Markdown file.
        suite: what was run.
        rows: its scores.
        command: that made it.
        figures: folder of the figures, below or beside the page.
    """
    where = figures.relative_to(path.parent).as_posix()
    parts = [
        [f"# {suite.title}"],
        [f"`{command}`"],
        _setting(suite, rows),
        _table(rows),
        [f"![gIoU while training]({where}/curves.svg)"],
        [f"![Quality against speed]({where}/speed.svg)"],
        ["## By reasoning type"],
        _types(rows),
        ["## Cost"],
        _costs(rows),
    ]
    lines = [line for part in parts for line in (*part, "")]
    write_text(path, "\n".join([*lines, *_published(suite)]))


def _setting(suite: Suite, rows: Sequence[ScoreRow]) -> list[str]:
    optim, model = suite.train.optim, suite.train.model
    questions = len(rows[0].results[0].counts)
    seeds = ", ".join(map(str, suite.seeds))
    start = "from scratch" if model.language_model is None else f"around {Path(model.language_model).name}"
    budget = f"{optim.epochs} epochs" if optim.steps is None else f"{optim.steps:,} steps"
    head = ' All of them have an extra output for "nothing answers".' if model.architecture.no_target_head else ""
    return [
        f"Every trained model starts {start}, has one size (`{model.size}`, {model.image_size} px) "
        f"and sees the same samples in one order per seed: {budget} of {optim.global_batch} samples "
        f"from `{suite.data_command}`, seeds {seeds}.{_rates(suite)}{head} Scored with the official "
        f"protocol on `{suite.test_config}`/`{suite.test_split}`, {questions} questions, all seeds pooled, in percent. "
        "Intervals are 95 % bootstrap over images. The last column is the difference in gIoU from the first row with "
        "its paired permutation p-value. Models of a few million parameters trained for minutes say which idea learns "
        "faster here, not which is better at full size.",
    ]


def _rates(suite: Suite) -> str:
    """Where models are trained in a way of their own."""
    own = [f"{v.name} {', '.join(f'{k} {x}' for k, x in v.optim.items())}" for v in suite.trained if v.optim]
    return f" Learning rate {suite.train.optim.learning_rate:g}, but for {'; '.join(own)}." if own else ""


def _table(rows: Sequence[ScoreRow]) -> list[str]:
    lines = [
        "| model | gIoU | 95 % | seeds differ by | cIoU | N-acc | T-acc | against the first |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        scores = [_percent(row.scores[name]) for name in METRICS]
        interval = row.intervals["gIoU"]
        spread = "" if len(row.results) == 1 else f"{100 * row.spread:.1f}"
        d = row.against_first
        against = "" if d is None else f"{100 * d.value:+.1f}, p {_p(d.p_value)}"
        lines.append(
            f"| {row.entry.name} | {scores[0]} | {100 * interval.low:.1f} to {100 * interval.high:.1f} | {spread} | "
            f"{scores[1]} | {scores[2]} | {scores[3]} | {against} |"
        )
    return lines


def _types(rows: Sequence[ScoreRow]) -> list[str]:
    kinds = sorted({kind for row in rows for kind in row.by_type})
    lines = [f"| model | {' | '.join(kinds)} |", f"|---|{'---:|' * len(kinds)}"]
    return [
        *lines,
        *(f"| {row.entry.name} | {' | '.join(_percent(row.by_type.get(kind)) for kind in kinds)} |" for row in rows),
    ]


def _costs(rows: Sequence[ScoreRow]) -> list[str]:
    lines = [
        f"Speed of prediction on {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, "
        f"PyTorch {torch.__version__}; FLOPs of one question about one image, forward, by PyTorch's "
        "counter; training minutes are wall time, whatever else the machine did.",
        "",
        "| model | parameters | GFLOPs | samples a second | training minutes a seed |",
        "|---|---:|---:|---:|---:|",
    ]
    for e in (row.entry for row in rows):
        if e.parameters is None or e.gflops is None:
            continue
        minutes = e.seconds / 60 / len(e.predictions)
        lines.append(
            f"| {e.name} | {e.parameters / 1e6:.2f} M | {e.gflops:.2f} | {e.samples_per_second:.1f} | {minutes:.1f} |"
        )
    return lines


def _published(suite: Suite) -> list[str]:
    """The paper's figures, beside a comparison of different models; variants of one have none to stand beside."""
    if len({variant.model for variant in suite.trained}) == 1:
        return []
    return [
        "## What the paper reports",
        "",
        "Other data, other sizes, another scorer: not to be compared with the tables above. EarthReason test split, "
        "the paper's own evaluation on a 1024 px letterbox (protocol `segearth-r1`), arXiv 2504.09644, Table 2; each "
        "model was trained on EarthReason by the paper's authors. Nobody outside has repeated it.",
        "",
        "| model | image encoder | language model | gIoU | cIoU |",
        "|---|---|---|---:|---:|",
        *(f"| {name} | {eye} | {text} | {giou:.2f} | {ciou:.2f} |" for name, eye, text, giou, ciou in PUBLISHED),
        "",
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def draw_figures(rows: Sequence[ScoreRow], folder: Path) -> list[Path]:
    """Draw learning curves and quality against speed, as SVG and PDF; returns the files."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    curves, speed = Figure(figsize=(5.2, 3.4), layout="constrained"), Figure(figsize=(5.2, 3.4), layout="constrained")
    _draw_curves(curves, rows)
    _draw_speed(speed, rows)
    figures = {"curves": curves, "speed": speed}
    return [_save(figure, folder / f"{name}.{form}") for name, figure in figures.items() for form in ("svg", "pdf")]


def _draw_curves(figure: Figure, rows: Sequence[ScoreRow]) -> None:
    axis = figure.subplots()
    for colour, row in zip(_COLOURS, rows, strict=False):
        if not row.entry.curves:
            continue
        steps = sorted(set.intersection(*(set(curve) for curve in row.entry.curves)))
        values = [[100 * curve[step] for curve in row.entry.curves] for step in steps]
        axis.plot(
            steps, [sum(v) / len(v) for v in values], color=colour, marker="o", markersize=3, label=row.entry.name
        )
        axis.fill_between(
            steps, [min(v) for v in values], [max(v) for v in values], color=colour, alpha=0.15, linewidth=0
        )
    axis.set_xlabel("step")
    axis.set_ylabel("gIoU on validation scenes, %")
    _finish(figure)


def _draw_speed(figure: Figure, rows: Sequence[ScoreRow]) -> None:
    axis = figure.subplots()
    shown = [row for row in rows if row.entry.parameters]
    for colour, row in zip(_COLOURS, shown, strict=False):
        interval, giou = row.intervals["gIoU"], row.scores["gIoU"] or 0.0
        error = [[100 * (giou - interval.low)], [100 * (interval.high - giou)]]
        axis.errorbar(
            row.entry.samples_per_second,
            100 * giou,
            yerr=error,
            color=colour,
            marker="o",
            capsize=3,
            linestyle="none",
            label=row.entry.name,
        )
    axis.set_xlabel("samples a second")
    axis.set_ylabel("gIoU, %")
    axis.set_xlim(0, 1.1 * max(row.entry.samples_per_second for row in shown))
    _finish(figure)


def _finish(figure: Figure) -> None:
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
        axis.set_ylim(bottom=0)
        axis.legend(frameon=False)


def _save(figure: Figure, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip("."))
    return path
