"""What the commands about runs of question generation share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import stdout
from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError

if TYPE_CHECKING:
    from earthreason.questions.ledger import Ledger
    from earthreason.questions.servers.pricing import Prices
    from earthreason.questions.settings import RunConfig

SOURCE = "source"
"""Setting of a run: the path or name of its source."""
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


def check_recipe_name(name: str) -> str:
    """Return the name of a recipe.

    Raises:
        EarthReasonError: it is empty, or has characters that cannot be shown.
    """
    if not name.strip() or not name.isprintable():
        raise EarthReasonError(f"--recipe {name!r}: a name needs letters, and only characters that can be shown")
    return name


def source_of(ledger: Ledger) -> str:
    """Return the source that a run is about.

    Raises:
        DataNotFoundError: the run has none yet, since nothing was generated.
    """
    source = ledger.setting(SOURCE)
    if source is None:
        raise DataNotFoundError(
            f"{ledger.path.parent}: nothing was generated yet; see `earthreason questions generate`"
        )
    return str(source)


def keep_source(ledger: Ledger, source: str) -> None:
    """Save what a run is about: the path of a source, or the name of a configuration.

    Raises:
        EarthReasonError: the run is about another source, which is still there.
    """
    place = str(Path(source).resolve()) if Path(source).exists() else source
    known = ledger.setting(SOURCE)
    moved = known is not None and Path(known).is_absolute() and not Path(known).exists()
    if known not in (None, place) and not moved:
        raise EarthReasonError(f"{ledger.path.parent} is about {known}, and this is {place}; choose another --out")
    ledger.remember(SOURCE, place)


def describe_plan(config: RunConfig, prices: Prices) -> list[str]:
    """Say what a run leaves undone because of its settings, one line each."""
    from earthreason.questions.servers.pricing import describe_unpriced

    stages = config.stages
    models = dict.fromkeys(name for name in (stages.propose, stages.rewrite, stages.judge) if name)
    lines = [f"cost is not counted: {describe_unpriced(name)}" for name in models if prices.of(name) is None]
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
    from rich.table import Table

    summary = ledger.summary()
    table = Table("stage", "model", "prompt", "calls", "quarantined", "input tokens", "output tokens", "US$")
    for row in summary["stages"]:
        numbers = [f"{row[name]:,}" for name in ("calls", "quarantined", "input_tokens", "output_tokens")]
        table.add_row(row["stage"], row["model"], row["prompt"], *numbers, f"{row['usd']:.4f}")
    stdout().print(table)
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
            f"{lost['requests']} requests in flight, interrupted or timed out, perhaps paid: at most ${lost['usd']:.4f}"
        )
