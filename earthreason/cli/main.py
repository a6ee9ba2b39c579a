"""The `earthreason` and `earthreason-eval` commands. To add a command, add a module and a line in `COMMANDS`."""

from __future__ import annotations

from collections.abc import Callable

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
from earthreason.cli.app import HELP_OPTIONS, guard, make_app, set_verbosity

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

app = make_app("earthreason", "Geospatial pixel reasoning: data, judge and reports.")

for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)

app.add_typer(questions.app, name="questions")

evaluate_app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
evaluate_app.command(name="earthreason-eval", context_settings=HELP_OPTIONS)(evaluate.evaluate)


def run() -> None:
    """Run `earthreason`."""
    guard(app)


def run_evaluate() -> None:
    """Run `earthreason-eval`, the same as `earthreason eval`."""
    set_verbosity(verbose=False, quiet=False)
    guard(evaluate_app)
