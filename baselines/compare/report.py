"""Write a comparison as a Markdown page."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from earthreason.files import write_text
from earthreason.metrics.breakdowns import TITLES
from earthreason.metrics.formats import format_interval
from earthreason.metrics.scores import CIOU, GIOU, N_ACC, T_ACC, TARGETS_GIOU
from earthreason.plurals import count_of

from ..common.words import encoder_of
from .measure import SECONDS
from .scores import GroupScore, ScoreRow, what_is_lacking
from .suite import Suite

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
    budget = count_of(optim.epochs, "epoch") if optim.steps is None else count_of(optim.steps, "step")
    head = " All of them have a no-target head." if model.architecture.no_target_head else ""
    encoder = encoder_of(model.tokenizer)
    words = "" if encoder is None else f", but with words that start with their meaning in {encoder},"
    return [
        f"Every trained model starts {start}{words} at the same size (`{model.size}`, {model.new_image_size} px) and, "
        f"for each seed, sees the same samples in the same order: {budget} of "
        f"{count_of(optim.global_batch, 'sample')} from `{suite.data_command}`, with seeds {seeds}. "
        f"{_rates(suite)}{head}",
        "",
        f"Scores are in percent, by the official protocol on `{suite.test_config}`/`{suite.test_split}` ({questions} "
        'questions), with all seeds pooled; "targets only" is the gIoU of questions with a target. '
        f"{_statistics(suite, questions, len(rows) - 1)} Models of a few million parameters trained for minutes show "
        "which idea learns faster here, not which is better at full size.",
    ]


def _statistics(suite: Suite, scenes: int, comparisons: int) -> str:
    """Say what intervals and p-values are over, and why there are none."""
    over = "over seeds and images" if len(suite.seeds) > 1 else "over images; with one seed, for that training only"
    text = f"Intervals are 95 % intervals {over}. The last column is the difference in gIoU from the first row"
    lacking = what_is_lacking(len(suite.seeds), scenes)
    if lacking:
        return f"{text}. There are no p-values, as there are {lacking}: the differences are no verdict."
    return f"{text}, with its p-value, corrected by Holm for {comparisons} comparisons."


def _rates(suite: Suite) -> str:
    """Say how each model got its learning rate and loss weights."""
    if suite.tuning is not None:
        tried = "; ".join(f"{name} {', '.join(map(_value, values))}" for name, values in suite.grid.items())
        models = {variant.name for variant in suite.trained} | {variant.model for variant in suite.trained}
        chosen = {name: settings for name, settings in suite.tuning.chosen.items() if name in models}
        found = "; ".join(f"{name}: {_named(settings)}" for name, settings in chosen.items())
        variants = "" if suite.extends is None else " Variants of a model use what was found for it."
        return (
            f"`{suite.tuning.command}` searched settings, {len(suite.trials())} trials for each model: all "
            f"combinations of {tried}. The highest gIoU of validation questions with a target won. Found for {found}."
            f"{_edges(suite.tuning.grid, chosen)}{variants}"
        )
    own = "".join(f"; {v.name}: {_named(v.optim)}" for v in suite.trained if v.optim)
    rate = f"learning_rate {suite.train.optim.learning_rate:g}"
    return f"Learning rates and loss weights were not searched, but set by hand: {rate}{own}."


def _edges(grid: Mapping[str, list[Any]], chosen: Mapping[str, Mapping[str, Any]]) -> str:
    """Name the models that a value beyond the grid might serve better."""
    numbers = {name: values for name, values in grid.items() if not isinstance(values[0], dict)}
    text = ""
    for name, values in numbers.items():
        ends = (min(values), max(values))
        if at_end := [model for model, settings in chosen.items() if settings[name] in ends]:
            text += f" The {name} found for {', '.join(at_end)} is at the end of the grid; one beyond may be better."
    return text


def _named(settings: Mapping[str, Any]) -> str:
    """List settings, those of a group one by one."""
    flat = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    grouped = {k: v for value in settings.values() if isinstance(value, dict) for k, v in value.items()}
    return ", ".join(f"{key} {value}" for key, value in (flat | grouped).items())


def _value(value: Any) -> str:
    """Show a value of a grid."""
    return f"({_named(value)})" if isinstance(value, dict) else str(value)


def _table(rows: Sequence[ScoreRow]) -> list[str]:
    lines = [
        "| model | gIoU | 95 % interval | range over seeds | targets only | cIoU | N-acc | T-acc | minus first row |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        others = " | ".join(_percent(row.scores[metric.name]) for metric in (TARGETS_GIOU, CIOU, N_ACC, T_ACC))
        interval = format_interval(row.interval)
        spread = "" if len(row.results) == 1 else f"{100 * row.spread:.1f}"
        lines.append(
            f"| {row.entry.name} | {_percent(row.scores[GIOU.name])} | {interval} | {spread} | {others} | "
            f"{_against_first(row)} |"
        )
    return lines


def _against_first(row: ScoreRow) -> str:
    difference = row.against_first
    if difference is None:
        return ""
    interval = format_interval(difference.interval)
    p_value = "" if row.corrected_p is None else f", p {_p(row.corrected_p)}"
    return f"{100 * difference.value:+.1f}" + (f" ({interval})" if interval else "") + p_value


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
        f"{torch.get_num_threads()} threads and PyTorch {torch.__version__}; the same questions "
        f"were asked again and again for {SECONDS:g} seconds or more, and the fastest round counts. FLOPs are those of "
        "one forward pass for one question about one image, from PyTorch's counter. Parameters are those that a "
        "backward pass gives a gradient; the others are in the checkpoint without effect on training. Training minutes "
        "are wall time, whatever else the machine was doing.",
        "",
        "| model | parameters | without gradient | GFLOPs | samples per second | training minutes per seed |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for e in (row.entry for row in rows):
        if e.parameters is None or e.all_parameters is None or e.gflops is None:
            continue
        idle = (e.all_parameters - e.parameters) / 1e6
        minutes = e.seconds / 60 / len(e.predictions)
        lines.append(
            f"| {e.name} | {e.parameters / 1e6:.2f} M | {idle:.2f} M | {e.gflops:.2f} | {e.samples_per_second:.1f} | "
            f"{minutes:.1f} |"
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
