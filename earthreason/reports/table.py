"""Results as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from earthreason.metrics.evaluate import Result

EXPLAINED = {
    "gIoU": "gIoU (mean per-sample IoU)",
    "cIoU": "cIoU (cumulative IoU)",
    "N-acc": "N-acc (empty targets found empty)",
    "T-acc": "T-acc (targets not called empty)",
}


def format_score(value: float | None) -> str:
    """A fraction as per cent with two decimals; a dash where undefined."""
    return "–" if value is None else f"{100 * value:.2f}"


def print_results(results: Sequence[Result], console: Console) -> None:
    """Print one column per protocol and what was scored."""
    first = results[0]
    table = Table(title=f"{first.source} against {first.truth}", title_justify="left", caption_justify="left")
    table.add_column("score, %")
    for result in results:
        table.add_column(f"{result.protocol.name}\n{result.protocol.grid.name}", justify="right")
    for name in first.scores:
        table.add_row(EXPLAINED.get(name, name), *(format_score(result.scores.get(name)) for result in results))
    console.print(table)
    missing = f", {first.missing} unanswered scored as empty" if first.missing else ""
    console.print(f"{len(first.counts)} samples, {first.empty_targets} of them empty targets{missing}")
