"""Tables of results in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from earthreason.metrics.breakdowns import Stratum
from earthreason.metrics.compare import TIE, Comparison
from earthreason.metrics.formats import format_interval, format_score
from earthreason.metrics.result import NotScored, Result
from earthreason.metrics.scores import OVERLAP, PRESENCE, get_metric
from earthreason.metrics.statistics import FEW_IMAGES
from earthreason.plurals import count_of
from earthreason.reports.rules import describe_rules
from earthreason.reports.tables import new_table, print_table


def print_results(results: Sequence[Result], console: Console) -> None:
    """Print one column per protocol, with intervals for the first, and the number of questions and images."""
    first = results[0]
    table = new_table(title=f"{first.source} against {first.truth}")
    table.add_column("score, %")
    table.add_column(f"{first.protocol.name}\n{first.protocol.grid.name}", justify="right")
    intervals = bool(first.intervals or first.no_interval)
    if intervals:
        table.add_column("95 %\ninterval", justify="right")
    for result in results[1:]:
        table.add_column(f"{result.protocol.name}\n{result.protocol.grid.name}", justify="right")
    for name in first.scores:
        interval = [first.describe_interval(name)] if intervals else []
        others = (format_score(result.scores.get(name)) for result in results[1:])
        table.add_row(get_metric(name).title, format_score(first.scores[name]), *interval, *others)
    print_table(table, console)
    console.print(describe_size(first))


def print_strata(title: str, strata: Sequence[Stratum], protocol: str, console: Console) -> None:
    """Print one row per group, with intervals; a line if there are no groups to compare."""
    if not strata:
        console.print(f"by {title}: all questions are in one group")
        return
    names = list(strata[0].scores)
    table = new_table(title=f"by {title}, %, protocol {protocol}")
    table.add_column(title)
    for heading in ("n", *names):
        table.add_column(heading, justify="right")
    for stratum in strata:
        cells = []
        for name in names:
            interval = format_interval(stratum.intervals.get(name))
            cells.append(format_score(stratum.scores[name]) + (f"\n{interval}" if interval else ""))
        table.add_row(stratum.group, str(stratum.n), *cells)
    print_table(table, console)


def describe_size(result: Result) -> str:
    """Describe the number of questions, images, questions without a target and scored targets in a line."""
    size = f"{count_of(result.questions, 'question')} about {count_of(result.images, 'image')}"
    parts = [size, f"{count_of(result.empty_targets, 'question')} without a target"]
    if result.protocol.unit == "mask":
        parts.append(f"{count_of(len(result.counts), 'target')} scored one by one")
    if result.missing:
        parts.append(f"{count_of(result.missing, 'question')} unanswered and scored as empty")
    if result.failed:
        parts.append(f"{count_of(result.failed, 'answer')} unreadable and scored as wrong")
    return ", ".join(parts)


def describe_threshold(info: Mapping[str, Any]) -> str | None:
    """Describe the no-target threshold in the `info` of predictions in a line; None if there is none."""
    value = info.get("no_target_threshold")
    if value is None:
        return None
    return f"no-target threshold of the predictions: {f'{value:.4g}' if isinstance(value, float) else value}"


def print_protocols(results: Sequence[Result | NotScored], console: Console) -> None:
    """Print one row per protocol, and the rules in which they differ."""
    scored = [result for result in results if isinstance(result, Result)]
    table = new_table(title=f"{scored[0].source} against {scored[0].truth}, %")
    for heading in ("protocol", "grid", "asks"):
        table.add_column(heading, no_wrap=True)
    for heading in ("n", *OVERLAP):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        protocol = result.protocol
        values = ["–"] * (1 + len(OVERLAP))
        if isinstance(result, Result):
            values = [str(result.questions), *(format_score(result.scores.get(name)) for name in OVERLAP)]
        table.add_row(protocol.name, protocol.grid.name, protocol.questions, *values)
    print_table(table, console)
    for result in results:
        if isinstance(result, NotScored):
            console.print(f"{result.protocol.name}: {result.reason}", soft_wrap=True)
    console.print("rules:")
    for result in scored:
        unanswered = f"; {result.missing} unanswered scored as empty" if result.missing else ""
        failed = f"; {result.failed} unreadable scored as wrong" if result.failed else ""
        rules = describe_rules(result.protocol, scored[0].protocol)
        console.print(f"  {result.protocol.name}: {rules}{unanswered}{failed}", soft_wrap=True)
    presence = f"{' and '.join(PRESENCE)} depend on the questions and on ignored pixels, not on the grid"
    console.print(presence, soft_wrap=True)
    console.print("What each protocol means: earthreason protocols")


def print_comparisons(comparisons: Sequence[Comparison], console: Console, shown: int = 5) -> None:
    """Print the scores of each model beside those of the first, with intervals and p-values of the differences."""
    for comparison in comparisons:
        first, second = comparison.first, comparison.second
        title = f"A = {first.source}\nB = {second.source}\nprotocol {first.protocol.name}, %"
        table = new_table(title=title)
        table.add_column("score")
        for heading in ("A", "B", "B − A", "95 % interval", "p"):
            table.add_column(heading, justify="right")
        for name, difference in comparison.differences.items():
            ends = difference.interval
            p = f"{difference.p_value:.4f}" if difference.p_value >= 0.001 else "<0.001"
            table.add_row(
                get_metric(name).title,
                format_score(first.scores[name]),
                format_score(second.scores[name]),
                f"{100 * difference.value:+.2f}",
                f"{100 * ends.low:+.2f} to {100 * ends.high:+.2f}" if ends else FEW_IMAGES,
                p,
            )
        print_table(table, console)
        console.print(
            f"B against A by IoU: {count_of(comparison.wins, 'win')}, {count_of(comparison.ties, 'tie')}, "
            f"{count_of(comparison.losses, 'loss', 'losses')} of {count_of(first.questions, 'question')}"
        )
        moved = [row for row in comparison.moved_rows(shown) if abs(row["change"]) > TIE]
        if moved:
            console.print("moved most:")
        for row in moved:
            console.print(
                f"  {row['sample_id']} question {row['question_index']}: {row['first']:.3f} → {row['second']:.3f}"
            )
