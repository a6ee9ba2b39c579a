"""Commands that write bundles for competition hosts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from earthreason.cli.app import stdout
from earthreason.cli.options import DataDirOption
from leaderboard.engines.bundles import IMAGE, Phase, now, phases_of

OutOption = Annotated[Path, typer.Option("--out", help="Zip to write.")]
BOTH = ["val", "test"]
TitleOption = Annotated[str, typer.Option("--title", help="Title of the competition.")]


def _phases(
    config: Annotated[
        str, typer.Option("--config", help="Dataset configuration; 'default' is the official release.")
    ] = "default",
    split: Annotated[list[str], typer.Option("--split", help="Split, val or test; repeat the option for both.")] = BOTH,
    data_dir: DataDirOption = None,
    start: Annotated[
        datetime | None,
        typer.Option("--start", formats=["%Y-%m-%d"], help="First day of the first phase.", show_default="today"),
    ] = None,
    val_days: Annotated[int, typer.Option("--val-days", min=1, help="Length of the validation phase in days.")] = 60,
    a_day: Annotated[int, typer.Option("--per-day", min=1, help="Submissions per participant per day.")] = 3,
) -> list[Phase]:
    """Load the splits and plan the phases; the parameters are options of every command here."""
    from earthreason.metrics.truth import load_references

    references = {name: load_references(config, name, data_dir) for name in split}
    return phases_of(references, start or now(), val_days, a_day)


def _with_phases(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `phases` of a command by the options of `_phases`."""
    own = signature(command, eval_str=True).parameters
    shared = signature(_phases, eval_str=True).parameters

    @wraps(command)
    def run(**values: Any) -> None:
        phases = _phases(**{name: values.pop(name) for name in shared})
        command(phases=phases, **values)

    options = [option for option in (*own.values(), *shared.values()) if option.name != "phases"]
    run.__signature__ = Signature(options)  # type: ignore[attr-defined]
    return run


@_with_phases
def codabench(
    phases: list[Phase],
    out: OutOption,
    image: Annotated[
        str,
        typer.Option(
            "--docker-image",
            help="Docker image that runs the scoring; docker/Dockerfile in the bundle builds a faster one.",
        ),
    ] = IMAGE,
    title: TitleOption = "EarthReason",
) -> None:
    """Write a Codabench competition bundle: phases, columns, pages, and the judge as its scoring program.

    Example: python -m leaderboard codabench --out bundle.zip
    """
    from leaderboard.engines.codabench import write_codabench

    write_codabench(out, phases, image, title)
    schedule = ", ".join(f"{phase.title} from {phase.start:%Y-%m-%d}" for phase in phases)
    stdout().print(f"{out}: {schedule}. It contains labels: upload it to Codabench only", soft_wrap=True)


@_with_phases
def evalai(phases: list[Phase], out: OutOption, title: TitleOption = "EarthReason") -> None:
    """Write an EvalAI challenge: configuration, annotations, and the judge as its evaluation script.

    Example: python -m leaderboard evalai --out challenge.zip
    """
    from leaderboard.engines.evalai import write_evalai

    write_evalai(out, phases, title)
    stdout().print(f"{out}: it contains labels: upload it to EvalAI only", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (codabench, evalai):
        app.command()(command)
