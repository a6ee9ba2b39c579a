"""`earthreason board`: print the public rows of a leaderboard."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from earthreason.cli.app import report_json, status, stdout
from earthreason.cli.options import JsonOption
from earthreason.cli.submit import SERVER_VARIABLE, Training

_SCORES = ("gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc")
_LEAST_NAME, _GAP = 5, 2


def board(
    server: Annotated[str, typer.Option(envvar=SERVER_VARIABLE, help="URL of the leaderboard.")],
    split: Annotated[str, typer.Option(help="Split as CONFIG/NAME; default: the one that the board opens with.")] = "",
    protocol: Annotated[str, typer.Option(help="Protocol of the scores; `earthreason protocols` lists them.")] = "",
    subset: Annotated[str, typer.Option(help="Group of questions, such as 'category: airport'.")] = "",
    sort: Annotated[str, typer.Option(help="A score, `date`, `model` or `size`.")] = "",
    ascending: Annotated[
        bool, typer.Option("--ascending", help="Worst, oldest, first or smallest first, instead of last.")
    ] = False,
    search: Annotated[str, typer.Option(help="Only rows with this text in the name of the model or team.")] = "",
    training: Annotated[Training | None, typer.Option(help="Only models of this exposure to the dataset.")] = None,
    since: Annotated[str, typer.Option(help="Only rows published on this day (YYYY-MM-DD) or later.")] = "",
    largest: Annotated[
        float | None, typer.Option(help="Only models that state at most so many parameters, in millions.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to print.")] = 50,
    json_out: JsonOption = None,
) -> None:
    """Print the public rows of a leaderboard, best first. No token is needed.

    Example: earthreason board --server https://board.example --split default/test --sort cIoU
    """
    from earthreason.board_client import BoardClient

    texts = {"split": split, "protocol": protocol, "subset": subset, "sort": sort, "search": search, "since": since}
    query: dict[str, Any] = {name: value for name, value in texts.items() if value}
    query |= {} if training is None else {"training": training.value}
    query |= {} if largest is None else {"largest": largest}
    query |= {"ascending": True} if ascending else {}
    client = BoardClient(server, reads_only=True)
    with status(f"asking {client.server}"):
        rows = list(islice(client.rows(**query), limit))
    if report_json(json_out, rows):
        _print_rows(rows, sort)


def _print_rows(rows: list[dict[str, Any]], sort: str) -> None:
    """Print rows as a table. Names take several lines where the terminal is narrow; no figure is cut."""
    from rich.table import Table
    from rich.text import Text

    if not rows:
        stdout().print("no rows")
        return
    names = dict.fromkeys((*_SCORES, sort))
    shown = [name for name in names if any(name in row["scores"] for row in rows)]
    table = Table(box=None, pad_edge=False)
    table.add_column("#", no_wrap=True, min_width=max(len(str(row["place"] or "–")) for row in rows))
    for heading in ("Model", "Team"):
        table.add_column(heading, overflow="fold", min_width=_LEAST_NAME)
    lines = [[_percent(row, name) for name in shown] for row in rows]
    for number, name in enumerate(shown):
        longest = max(len(figures[number]) for figures in lines)
        table.add_column(name, no_wrap=True, min_width=max(len(name), longest))
    table.add_column("Published", no_wrap=True, min_width=len("2026-01-01"))
    for row, figures in zip(rows, lines, strict=True):
        texts = [str(row["place"] or "–"), row["model"], row["team"], *figures, row["published"]]
        table.add_row(*(Text(text) for text in texts))  # names are text, whatever they look like
    console = stdout()
    least = sum((column.min_width or 0) + _GAP for column in table.columns)
    console.width = max(console.width, least)
    console.print(table, crop=False)


def _percent(row: dict[str, Any], name: str) -> str:
    cell = row["scores"].get(name)
    decimals = 2 if row["decimals"] is None else max(0, row["decimals"] - 2)
    return "–" if cell is None else f"{100 * cell[0]:.{decimals}f}"
