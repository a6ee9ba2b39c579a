"""The one style of tables in the terminal, and plain columns where output is piped."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_LEAST_NAME = 12
"""Characters down to which a column of texts shrinks before the terminal is too narrow for the table."""


def new_table(*texts: str, numbers: Sequence[str] = (), title: str | None = None) -> Table:
    """Make a table with columns of texts, which may wrap, and then of numbers, which align at the right and do not.

    Args:
        texts: headings of the columns of texts.
        numbers: headings of the columns of numbers.
        title: line above the table.
    """
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for heading in texts:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_table(table: Table, console: Console) -> None:
    """Print a table; where output is piped, without lines and as wide as it is, so that no cell is cut or wrapped."""
    if console.is_terminal:
        console.print(table, markup=False)
        return
    table.box, table.pad_edge, table.title_justify = None, False, "left"
    for column in table.columns:
        column.no_wrap = True
    wide = console.options.update(width=100_000)
    width = Measurement.get(console, wide, table).maximum
    title = str(table.title or "")
    before = console.width
    console.width = max(width, *(len(line) for line in title.split("\n")), 1)
    try:
        console.print(table, crop=False)
    finally:
        console.width = before
