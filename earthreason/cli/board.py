"""`earthreason board`: print the public rows of a leaderboard."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from earthreason.cli.app import report_json, status, stdout
from earthreason.cli.completions import complete_protocol
from earthreason.cli.options import JsonOption
from earthreason.cli.submit import SERVER_VARIABLE, Training

_SCORES = ("gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc")
_NAMES = (1, 2)
_LEAST_NAME, _GAP = 5, 2


def board(
    server: Annotated[str, typer.Option(envvar=SERVER_VARIABLE, help="URL of the leaderboard.")],
    split: Annotated[str, typer.Option(help="Split as CONFIG/NAME; default: the one that the board opens with.")] = "",
    protocol: Annotated[
        str,
        typer.Option(
            help="Protocol of the scores; `earthreason protocols` lists them.", autocompletion=complete_protocol
        ),
    ] = "",
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
    from rich.text import Text

    from earthreason.reports.tables import new_table, print_table

    if not rows:
        stdout().print("no rows")
        return
    names = dict.fromkeys((*_SCORES, sort))
    shown = [name for name in names if any(name in row["scores"] for row in rows)]
    table = new_table("#", "model", "team", numbers=(*shown, "published"))
    lines = [
        [
            str(row["place"] or "–"),
            row["model"],
            row["team"],
            *(_percent(row, name) for name in shown),
            row["published"],
        ]
        for row in rows
    ]
    for number, column in enumerate(table.columns):
        is_name = number in _NAMES
        longest = max(len(str(column.header)), *(len(line[number]) for line in lines))
        column.min_width = _LEAST_NAME if is_name else longest
        column.no_wrap = not is_name
    for line in lines:
        table.add_row(*map(Text, line))  # names are text, whatever they look like
    console = stdout()
    console.width = max(console.width, sum((column.min_width or 0) + _GAP for column in table.columns))
    print_table(table, console)


def _percent(row: dict[str, Any], name: str) -> str:
    cell = row["scores"].get(name)
    decimals = 2 if row["decimals"] is None else max(0, row["decimals"] - 2)
    return "–" if cell is None else f"{100 * cell[0]:.{decimals}f}"
