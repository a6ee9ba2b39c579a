"""`earthreason demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import command_line, status, stdout
from earthreason.cli.options import refuse_file_early


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files of the demo.", callback=refuse_file_early)] = Path(
        "earthreason-demo"
    ),
) -> None:
    """Load, predict, score and draw synthetic scenes, without network. The first run takes about a minute.

    Example: earthreason demo --out earthreason-demo
    """
    from earthreason.metrics.formats import format_score
    from earthreason.metrics.scores import HEADLINE
    from earthreason.reports.tables import new_table, print_table

    with status("loading the sample scenes (made on first use), predicting and scoring"):
        from earthreason.demo import run_demo

        written = run_demo(out)
    table = new_table("model", numbers=HEADLINE, title="sample test split, official protocol, %")
    for model, result in written.results.items():
        table.add_row(model, *(format_score(result[name]) for name in HEADLINE))
    print_table(table, stdout())
    for note in written.notes:
        typer.echo(note, err=True)
    best = written.predictions[-1]
    for label, path in (("predictions", best), ("pictures", written.picture), ("page", written.page)):
        typer.echo(f"{label}: {path.resolve()}")
    typer.echo(f"next: {command_line('earthreason-eval', best)}")
