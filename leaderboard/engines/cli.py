"""Commands that write bundles for competition hosts."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import stdout
from earthreason.cli.completions import complete_config
from earthreason.cli.options import DataDirOption
from earthreason.errors import UnknownNameError

from ..results_cli import MainProtocolOption
from .bundles import SUBMISSIONS, Phase, now, phases_of
from .requirements import IMAGE

OutOption = Annotated[Path, typer.Option("--out", help="Zip to write.")]
ConfigOption = Annotated[
    str,
    typer.Option(
        "--config", help="Dataset configuration; 'default' is the official release.", autocompletion=complete_config
    ),
]
SplitsOption = Annotated[
    list[str],
    typer.Option("--split", help="Split, val or test; repeat the option for both.", show_default="those of the data"),
]
StartOption = Annotated[
    datetime | None,
    typer.Option("--start", formats=["%Y-%m-%d"], help="First day of the first phase.", show_default="today"),
]
ValDaysOption = Annotated[int, typer.Option("--val-days", min=1, help="Length of the validation phase in days.")]
PerDayOption = Annotated[int, typer.Option("--per-day", min=1, help="Submissions per participant per day.")]
InAllOption = Annotated[int, typer.Option("--in-all", min=1, help="Submissions per participant in a phase.")]
OpenOption = Annotated[
    list[str],
    typer.Option("--open", help="Split whose labels are public; its scores are complete. Repeat the option for both."),
]
TitleOption = Annotated[
    str | None, typer.Option("--title", help="Title of the competition.", show_default="that of the dataset")
]


def codabench(
    out: OutOption,
    image: Annotated[
        str,
        typer.Option(
            "--docker-image",
            help="Docker image that runs the scoring; docker/Dockerfile in the bundle builds a faster one.",
        ),
    ] = IMAGE,
    config: ConfigOption = "default",
    split: SplitsOption = [],  # noqa: B006 - typer copies it
    data_dir: DataDirOption = None,
    start: StartOption = None,
    val_days: ValDaysOption = 60,
    a_day: PerDayOption = 3,
    in_all: InAllOption = SUBMISSIONS,
    open_splits: OpenOption = [],  # noqa: B006
    title: TitleOption = None,
    protocol: MainProtocolOption = None,
) -> None:
    """Write a Codabench competition bundle: phases, columns, pages, and the judge as its scoring program.

    Example: earthreason-leaderboard codabench --out bundle.zip
    """
    from earthreason.data.catalogue import get_set

    from .codabench import write_codabench

    phases = _plan(config, split, data_dir, start, val_days, a_day, in_all, open_splits, protocol)
    write_codabench(out, phases, image, title or get_set(config).about.title)
    schedule = ", ".join(f"{phase.title} from {phase.start:%Y-%m-%d}" for phase in phases)
    stdout().print(f"{out}: {schedule}. It contains labels: upload it to Codabench only", soft_wrap=True)


def evalai(
    out: OutOption,
    config: ConfigOption = "default",
    split: SplitsOption = [],  # noqa: B006 - typer copies it
    data_dir: DataDirOption = None,
    start: StartOption = None,
    val_days: ValDaysOption = 60,
    a_day: PerDayOption = 3,
    in_all: InAllOption = SUBMISSIONS,
    open_splits: OpenOption = [],  # noqa: B006
    title: TitleOption = None,
    protocol: MainProtocolOption = None,
) -> None:
    """Write an EvalAI challenge: configuration, annotations, and the judge as its evaluation script.

    Example: earthreason-leaderboard evalai --out challenge.zip
    """
    from earthreason.data.catalogue import get_set

    from .evalai import write_evalai

    phases = _plan(config, split, data_dir, start, val_days, a_day, in_all, open_splits, protocol)
    write_evalai(out, phases, title or get_set(config).about.title)
    named = " and ".join(phase.split for phase in phases)
    stdout().print(f"{out}: {named}. It contains labels: upload it to EvalAI only", soft_wrap=True)


def _plan(
    config: str,
    splits: list[str],
    data_dir: Path | None,
    start: datetime | None,
    val_days: int,
    a_day: int,
    in_all: int,
    open_splits: list[str],
    protocol: str | None,
) -> list[Phase]:
    """Load the splits, by default those of val and test that the data has, and plan the phases."""
    from earthreason.data.configs import get_config
    from earthreason.metrics.truth import load_references

    get_config(config)
    references = {}
    for name in splits or ("val", "test"):
        with suppress(UnknownNameError) if not splits else nullcontext():
            references[name] = load_references(config, name, data_dir)
    return phases_of(references, start or now(), val_days, a_day, in_all, open_splits, config, protocol)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (codabench, evalai):
        app.command()(command)
