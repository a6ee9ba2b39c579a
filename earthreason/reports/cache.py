"""Table of the prepared copies in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from earthreason.data.copies import Copy
from earthreason.plurals import count_of
from earthreason.reports.tables import new_table, print_table


def megabytes(size: int) -> str:
    """Return a size in bytes as text in MiB."""
    return f"{size / (1 << 20):,.1f} MiB"


def print_copies(copies: Sequence[Copy], root: Path, console: Console) -> None:
    """Print one row per copy, and the total."""
    if copies:
        table = new_table("config", "made from", "made", "state", numbers=("size",))
        for copy in copies:
            table.add_row(copy.config, copy.origin, copy.made[:16], copy.state, megabytes(copy.size))
        print_table(table, console)
    count = count_of(len(copies), "copy")
    size = megabytes(sum(copy.size for copy in copies))
    console.print(f"{count}, {size} in {root}", soft_wrap=True, markup=False)
    if any(copy.state in ("outdated", "unfinished") for copy in copies):
        console.print("earthreason cache --prune removes those that are outdated or unfinished", soft_wrap=True)
