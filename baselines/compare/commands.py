"""The commands `compare` and `tune` of `earthreason-baselines`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import stdout

from . import suite_names

SuiteOption = Annotated[str, typer.Option("--suite", help=f"Comparison: {', '.join(suite_names())}, or a YAML file.")]
TrainingDataOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the training data. Default: the suite's.")
]


def compare(
    suite: SuiteOption = "tiny",
    out: Annotated[Path, typer.Option("--out", help="Folder of the runs; unfinished runs are resumed.")] = Path(
        "runs/compare"
    ),
    report: Annotated[
        Path | None, typer.Option("--report", help="Markdown page to write. Default: comparison.md in --out.")
    ] = None,
    data_dir: TrainingDataOption = None,
) -> None:
    """Train models on the same data and budget, score them, and write a table and two figures.

    Example: earthreason-baselines compare --suite smoke --out runs/smoke
    """
    from .figures import draw_figures
    from .report import write_page
    from .runs import run_suite
    from .scores import score_suite
    from .suite import load_suite

    settings = load_suite(suite, {} if data_dir is None else {"data_dir": str(data_dir)})
    rows = score_suite(settings, run_suite(settings, out))
    page = report or out / "comparison.md"
    figures = page.parent / "images" / page.stem
    page.parent.mkdir(parents=True, exist_ok=True)
    draw_figures(rows, figures)
    write_page(page, settings, rows, _command("compare", suite, out, data_dir, report), figures)
    stdout().print(f"table: {page}\nfigures: {figures}", soft_wrap=True)


def tune(
    suite: SuiteOption = "tiny",
    out: Annotated[Path, typer.Option("--out", help="Folder of the trials; unfinished ones are resumed.")] = Path(
        "runs/tune"
    ),
    data_dir: TrainingDataOption = None,
) -> None:
    """Search the optimizer settings of each model of a suite on validation data, and record them for `compare`.

    Every model tries all combinations of the suite's `grid`. The record is `tuned/NAME.yaml` beside the suite.

    Example: earthreason-baselines tune --suite tiny --data-dir scenes --out runs/tune
    """
    from .suite import find_suite, load_suite
    from .tune import tune_suite
    from .tuning import tuning_path, write_tuning

    settings = load_suite(suite, {} if data_dir is None else {"data_dir": str(data_dir)}, searched=False)
    tuning = tune_suite(settings, out, _command("tune", suite, out, data_dir))
    record = tuning_path(find_suite(suite))
    write_tuning(record, tuning)
    chosen = "\n".join(f"{name}: {values}" for name, values in tuning.chosen.items())
    stdout().print(f"{chosen}\nrecord: {record}", soft_wrap=True, markup=False)


def _command(name: str, suite: str, out: Path, data_dir: Path | None, report: Path | None = None) -> str:
    """Return the command that runs this again, with all options that change what it writes."""
    words = ["earthreason-baselines", name, "--suite", suite, "--out", str(out)]
    for option, value in (("--data-dir", data_dir), ("--report", report)):
        words += [] if value is None else [option, str(value)]
    return shlex.join(words)
