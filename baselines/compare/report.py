"""Write a comparison as a Markdown page and two figures."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from baselines.common.words import encoder_of
from baselines.compare.scores import GroupScore, ScoreRow
from baselines.compare.suite import Suite
from earthreason.files import write_text
from earthreason.metrics.breakdowns import TITLES
from earthreason.metrics.formats import format_interval
from earthreason.metrics.scores import CIOU, GIOU, N_ACC, T_ACC, TARGETS_GIOU
from earthreason.reports.svg import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe-Ito colours, distinguishable with any colour vision."""
PUBLISHED = (
    ("LISA", "CLIP-L + SAM", "Vicuna-7B", 60.88, 59.10),
    ("PixelLM", "CLIP-L", "Vicuna-7B", 60.01, 59.22),
    ("PSALM", "Swin-B", "phi-1.5", 68.30, 64.61),
    ("SegEarth-R1", "Swin-B", "phi-1.5", 70.75, 68.25),
)
"""Model, image encoder, language model, gIoU and cIoU in percent (arXiv 2504.09644, Table 2, EarthReason test)."""


def write_page(path: Path, suite: Suite, rows: Sequence[ScoreRow], command: str, figures: Path) -> None:
    """Write the Markdown page of a comparison.

    Args:
        path: Markdown file to write.
        suite: suite that was run.
        rows: scores of the suite's models.
        command: command that ran the suite.
        figures: folder of the figures, in or below the page's folder.
    """
    where = figures.relative_to(path.parent).as_posix()
    parts = [
        [f"# {suite.title}"],
        [f"`{command}`"],
        _setting(suite, rows),
        _table(rows),
        [f"![gIoU during training]({where}/curves.svg)"],
        [f"![gIoU by speed]({where}/speed.svg)"],
        *(part for name in rows[0].by_group for part in ([f"## gIoU by {TITLES[name]}"], _groups(rows, name))),
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
    head = " All of them have a no-target head." if model.architecture.no_target_head else ""
    encoder = encoder_of(model.tokenizer)
    words = "" if encoder is None else f", but with words that start with their meaning in {encoder},"
    return [
        f"Every trained model starts {start}{words} at the same size (`{model.size}`, {model.new_image_size} px) and, "
        f"for each seed, sees the same samples in the same order: {budget} of {optim.global_batch} samples from "
        f"`{suite.data_command}`, with seeds {seeds}.{_rates(suite)}{head} Scores are in percent, by the official "
        f"protocol on `{suite.test_config}`/`{suite.test_split}` ({questions} questions), with all seeds pooled; "
        '"targets only" is the gIoU of questions with a target. Intervals are 95 % intervals over images. The last '
        "column is the difference in gIoU from the first row, with its paired permutation p-value. Models of a few "
        "million parameters trained for minutes show which idea learns faster here, not which is better at full size.",
    ]


def _rates(suite: Suite) -> str:
    """Name the models that have optimizer settings of their own."""
    own = [f"{x} for {v.name} (`{k}`)" for v in suite.trained for k, x in v.optim.items()]
    return (
        f" The learning rate is {suite.train.optim.learning_rate:g}; other settings: {', '.join(own)}." if own else ""
    )


def _table(rows: Sequence[ScoreRow]) -> list[str]:
    lines = [
        "| model | gIoU | 95 % interval | range over seeds | targets only | cIoU | N-acc | T-acc | minus first row |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        others = " | ".join(_percent(row.scores[metric.name]) for metric in (TARGETS_GIOU, CIOU, N_ACC, T_ACC))
        interval = format_interval(row.intervals.get("gIoU"))
        spread = "" if len(row.results) == 1 else f"{100 * row.spread:.1f}"
        d = row.against_first
        against = "" if d is None else f"{100 * d.value:+.1f}, p {_p(d.p_value)}"
        lines.append(
            f"| {row.entry.name} | {_percent(row.scores[GIOU.name])} | {interval} | {spread} | {others} | {against} |"
        )
    return lines


def _groups(rows: Sequence[ScoreRow], breakdown: str) -> list[str]:
    groups = list(rows[0].by_group[breakdown])
    lines = [f"| model | {' | '.join(groups)} |", f"|---|{'---:|' * len(groups)}"]
    cells = ([_group_cell(row.by_group[breakdown][group]) for group in groups] for row in rows)
    return [*lines, *(f"| {row.entry.name} | {' | '.join(own)} |" for row, own in zip(rows, cells, strict=True))]


def _group_cell(score: GroupScore) -> str:
    interval = format_interval(score.interval)
    return _percent(score.giou) + (f" ({interval})" if interval else "")


def _costs(rows: Sequence[ScoreRow]) -> list[str]:
    lines = [
        f"Prediction speed was measured on {platform.processor() or platform.machine()} with "
        f"{torch.get_num_threads()} threads and PyTorch {torch.__version__}. FLOPs are those of one forward pass for "
        "one question about one image, from PyTorch's counter. Training minutes are wall time, whatever else the "
        "machine was doing.",
        "",
        "| model | parameters | GFLOPs | samples per second | training minutes per seed |",
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
    """List the paper's scores in a comparison of different models; there are none for variants of one model."""
    if len({variant.model for variant in suite.trained}) == 1:
        return []
    return [
        "## What the paper reports",
        "",
        "These scores cannot be compared with the tables above, as data, model sizes and evaluation differ. They are "
        "from arXiv 2504.09644, Table 2: EarthReason test split, models trained on EarthReason by the paper's authors, "
        "evaluated by their code on a 1024 px letterbox (protocol `segearth-r1`). No one else has reproduced them.",
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
    """Draw learning curves and gIoU by speed as SVG and PDF; return the files."""
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
        interval, giou = row.intervals.get("gIoU"), row.scores["gIoU"] or 0.0
        error = None if interval is None else [[100 * (giou - interval.low)], [100 * (interval.high - giou)]]
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
    save_figure(figure, path)
    return path
