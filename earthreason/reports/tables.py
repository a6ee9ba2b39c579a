"""The one style of tables in the terminal, and plain columns where output is piped."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDEST = 100_000
"""Characters that no table reaches."""
_NARROWEST = 12
"""Characters to which a column that wraps may shrink, or to the longest word of its heading."""


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
    """Print a table; where output is piped, without lines, and so wide that no cell is cut or wrapped.

    Who sets COLUMNS gets tables of that width in pipes too. A table that is wider though all its cells are wrapped is
    printed wider: nothing is cut.
    """
    before = console.width
    if not console.is_terminal:
        if table.title:
            console.print(table.title, soft_wrap=True, markup=False)
            table.title = None
        table.box, table.pad_edge = None, False
    if console.is_terminal or "COLUMNS" in os.environ:
        console.width = max(before, _least_width(table))
    else:
        for column in table.columns:
            column.no_wrap = True
        console.width = max(
            Measurement.get(console, console.options.update(width=_WIDEST, markup=False), table).maximum, 1
        )
    try:
        console.print(table, crop=False, markup=False, soft_wrap=True)
    finally:
        console.width = before


def _least_width(table: Table) -> int:
    """Return a width at which rich cuts no cell, the space between columns included."""
    widths = []
    for column in table.columns:
        cells = [str(cell) for cell in (column.header, *column.cells)]
        whole = [line for cell in cells for line in cell.split("\n")] if column.no_wrap else str(column.header).split()
        widths.append(max([*map(cell_len, whole), 0 if column.no_wrap else _NARROWEST]))
    return sum(widths) + 3 * len(widths) + 1
