"""`earthreason board`: print the public rows of a leaderboard."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from earthreason.cli.app import report_json, stderr, stdout
from earthreason.cli.options import JsonOption
from earthreason.cli.submit import SERVER_VARIABLE, Training

_SCORES = ("gIoU", "cIoU", "Pr@0.5", "N-acc", "T-acc")


def board(
    server: Annotated[str, typer.Option(envvar=SERVER_VARIABLE, help="URL of the leaderboard.")],
    split: Annotated[str, typer.Option(help="Split as CONFIG/NAME; default: the one that the board opens with.")] = "",
    protocol: Annotated[str, typer.Option(help="Protocol of the scores; `earthreason protocols` lists them.")] = "",
    sort: Annotated[str, typer.Option(help="A score, `date`, `model` or `size`.")] = "",
    search: Annotated[str, typer.Option(help="Only rows with this text in the name of the model or team.")] = "",
    training: Annotated[Training | None, typer.Option(help="Only models of this exposure to the dataset.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to print.")] = 50,
    json_out: JsonOption = None,
) -> None:
    """Print the public rows of a leaderboard, best first. No token is needed.

    Example: earthreason board --server https://board.example --split default/test --sort cIoU
    """
    from earthreason.board_client import BoardClient

    given = {"split": split, "protocol": protocol, "sort": sort, "search": search}
    given["training"] = "" if training is None else training.value
    query: dict[str, Any] = {name: value for name, value in given.items() if value}
    client = BoardClient(server)
    with stderr().status(f"asking {client.server}"):
        rows = list(islice(client.rows(**query), limit))
    if report_json(json_out, rows):
        _print_rows(rows)


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not rows:
        stdout().print("no rows")
        return
    shown = [name for name in _SCORES if any(name in row["scores"] for row in rows)]
    table = Table("#", "Model", "Team", *shown, "Published", box=None, pad_edge=False)
    for row in rows:
        decimals = 2 if row["decimals"] is None else max(0, row["decimals"] - 2)
        values = [row["scores"].get(name) for name in shown]
        scores = ["–" if value is None else f"{100 * value[0]:.{decimals}f}" for value in values]
        texts = [str(row["place"] or "–"), row["model"], row["team"], *scores, row["published"]]
        table.add_row(*(Text(text) for text in texts))  # names are text, whatever they look like
    stdout().print(table)
