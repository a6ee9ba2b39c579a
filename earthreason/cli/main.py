"""The `earthreason` and `earthreason-eval` commands. To add a command, add a module and a line in `COMMANDS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from earthreason.cli import (
    board,
    cache,
    compare,
    data,
    datasets,
    demo,
    evaluate,
    merge,
    protocols,
    questions,
    submit,
    synth,
)
from earthreason.cli.app import QuietOption, VerboseOption, guard, set_verbosity

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "datasets": datasets.datasets,
    "download": data.download,
    "verify": data.verify,
    "show": data.show,
    "stats": data.stats,
    "browse": data.browse,
    "export": data.export,
    "cache": cache.cache,
    "synth": synth.synth,
    "eval": evaluate.evaluate,
    "merge": merge.merge,
    "compare": compare.compare,
    "submit": submit.submit,
    "board": board.board,
    "protocols": protocols.protocols,
}

app = typer.Typer(
    name="earthreason",
    help="Geospatial pixel reasoning: data, judge and reports.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from earthreason import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    set_verbosity(verbose, quiet)


for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)

app.add_typer(questions.app, name="questions")

evaluate_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
evaluate_app.command(name="earthreason-eval")(evaluate.evaluate)


def run() -> None:
    """Run `earthreason`."""
    guard(app)


def run_evaluate() -> None:
    """Run `earthreason-eval`, the same as `earthreason eval`."""
    set_verbosity(verbose=False, quiet=False)
    guard(evaluate_app)
