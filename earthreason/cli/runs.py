"""What the commands about runs of question generation share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import stdout
from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.plurals import count_of

if TYPE_CHECKING:
    from earthreason.questions.ledger import Ledger
    from earthreason.questions.servers.pricing import Prices
    from earthreason.questions.settings import RunConfig

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of `questions generate`.")]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="Name of the recipe (models, prompts, parameters, server), if a run has several.", show_default="main"
    ),
]


def open_run(folder: Path, recipe: str | None = None) -> Ledger:
    """Open the ledger of a run directory.

    Args:
        folder: run directory.
        recipe: name of the recipe; None means the only one, or the one that was begun without a name.

    Raises:
        DataNotFoundError: the directory has no ledger.
        UnknownNameError: the run has no recipe of this name.
        EarthReasonError: the run has several recipes, all with names, and none is given.
    """
    from earthreason.questions.ledger import Ledger
    from earthreason.questions.migration import MAIN

    path = folder / "ledger.sqlite"
    if not path.is_file():
        raise DataNotFoundError(f"{folder} is not a run directory of `questions generate`: it has no ledger.sqlite")
    ledger = Ledger(path, recipe or MAIN)
    known = ledger.recipes()
    if recipe is not None and recipe not in known:
        raise UnknownNameError("recipe", recipe, known)
    if recipe is None and known and MAIN not in known:
        if len(known) > 1:
            raise EarthReasonError(f"{folder} has several recipes; choose one with --recipe: {', '.join(known)}")
        ledger.recipe = known[0]
    return ledger


def check_name(option: str, name: str | None) -> None:
    """Check the name of a model or recipe that an option gives; None is not given.

    Raises:
        EarthReasonError: it is empty, or has characters that cannot be shown.
    """
    if name is not None and not (name.strip() and name.isprintable()):
        raise EarthReasonError(f"{option} {name!r}: a name needs letters, and only characters that can be shown")


def describe_plan(config: RunConfig, prices: Prices) -> list[str]:
    """Say what a run leaves undone because of its settings, one line each."""
    from earthreason.questions.servers.pricing import describe_unpriced

    stages = config.stages
    lines = [f"cost is not counted: {describe_unpriced(name)}" for name in config.unpriced(prices)]
    lines.append(describe_language(stages.language.name, stages.language.code))
    if not config.can_be_absent:
        lines.append(
            "no images are sent, so nobody can look what is absent: no sample is asked about something absent, and "
            "samples with an empty mask are quarantined"
        )
    elif config.unseen_empties:
        lines.append("no images are sent: what is asked about as absent may be there, as nobody looks")
    elif stages.judge is None:
        lines.append("there is no judge: what is asked about as absent is looked for by one model only")
    return [line for line in lines if line]


def describe_language(name: str, code: str) -> str:
    """Name the checks that are not applied to a language; empty if all are."""
    from earthreason.questions.checks import not_applied

    checks = not_applied(code)
    understood = f"{name}: not checked, as only English is understood: {', '.join(checks)}; the judge sees to naming"
    return understood if checks else ""


def print_summary(ledger: Ledger) -> None:
    """Print samples, calls, tokens and cost of a run."""
    from earthreason.reports.tables import new_table, print_table

    summary = ledger.summary()
    figures = ("calls", "quarantined", "input tokens", "output tokens", "US$")
    table = new_table("stage", "model", "prompt", numbers=figures)
    for row in summary["stages"]:
        numbers = [f"{row[name]:,}" for name in ("calls", "quarantined", "input_tokens", "output_tokens")]
        table.add_row(row["stage"], row["model"], row["prompt"], *numbers, f"{row['usd']:.4f}")
    print_table(table, stdout())
    samples = ", ".join(f"{status} {count}" for status, count in summary["samples"].items()) or "no sample finished"
    identical = f", {summary['identical']} of them identical to others" if summary["identical"] else ""
    others = ", ".join(name for name in ledger.recipes() if name != ledger.recipe)
    typer.echo(f"{samples}{identical}; ${summary['usd']:.4f} spent{f'; other recipes: {others}' if others else ''}")
    name, _, code = str((ledger.stored_recipe() or {}).get("language", "")).partition("/")
    unchecked = describe_language(name, code) if code else ""
    if unchecked:
        typer.echo(unchecked)
    lost = summary["perhaps_paid"]
    if lost["requests"]:
        typer.echo(
            f"{count_of(lost['requests'], 'request')} in flight, interrupted or timed out, "
            f"perhaps paid: at most ${lost['usd']:.4f}"
        )
