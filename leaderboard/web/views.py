"""The values that templates render, taken from entries, results and declarations."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from earthreason.metrics.breakdowns import BREAKDOWNS
from earthreason.metrics.protocols import PROTOCOLS, get_protocol
from earthreason.metrics.scores import CIOU, DICE, GIOU, METRICS, OVERLAP, PRESENCE
from earthreason.metrics.statistics import Interval
from earthreason.reports.rules import describe_rules

from ..board import DATE, MODEL, PAGE_ROWS, SIZE, BoardEntry, BoardQuery, BoardTable
from ..comparisons import PublicComparison, compare_details, subtract_shown
from ..entries import entry_of
from ..exports import FORMATS
from ..model_results import ModelResults, results_of_model
from ..published import BENCHMARKS, GRADES, columns_of, load_published
from ..records import ALL, CURVE, ResultRecord, ScoreEstimate, Subset
from ..scoring import read_details
from ..submissions import RefusedError, find_submission, latest_result
from ..tables import PUBLIC, ScoredResult, Submission
from .plots import draw_radar

_CATEGORY = next(breakdown.title for breakdown in BREAKDOWNS if breakdown.name == "category")
_OTHER_SORTS = {DATE: "Published", MODEL: "Model", SIZE: "Size"}
_FACTS = {DATE: "date of publication", MODEL: "name", SIZE: "number of parameters"}
COMPARE_COLUMNS = (*OVERLAP, "Pr@0.7", "Pr@0.9", *PRESENCE, DICE.name)
Keep = Callable[[Hashable, Sequence[str], Callable[[], Any]], Any]
"""Function that returns what it remembers of a key, or what the third argument makes; the second is what it shows."""


@dataclass(frozen=True)
class SplitChoice:
    """A split in the board's split menu."""

    key: str
    hidden: bool
    main_protocol: str

    @property
    def query(self) -> BoardQuery:
        """The first table of the split."""
        return BoardQuery.of_split(self.key, self.main_protocol)


def board_view(table: BoardTable, query: BoardQuery, splits: Sequence[SplitChoice]) -> dict[str, Any]:
    """Collect the values of a page of the board. `query` is what the reader asked for."""
    groups: dict[str, list[Subset]] = {}
    for subset in table.subsets:
        groups.setdefault(subset.breakdown, []).append(subset)
    chosen = next((subset for subset in table.subsets if subset.key == query.subset), None)
    return {
        "table": table,
        "query": query,
        "page": 1 + table.start // PAGE_ROWS,
        "pages": max(1, -(-table.total // PAGE_ROWS)),
        "splits": splits,
        "protocols": PROTOCOLS.values(),
        "rules": describe_rules(get_protocol(query.protocol)),
        "subset_groups": groups,
        "chosen": chosen,
        "titles": {metric: METRICS[metric].title for metric in (*table.columns, *table.metrics)},
        "sorts": [*((name, name) for name in table.metrics), *_OTHER_SORTS.items()],
        "sorted_by": _name_sort(query),
        "sortable": table.total == len(table.rows),
        "formats": FORMATS,
        "printed": _printed(query),
    }


def _name_sort(query: BoardQuery) -> str:
    """Name the order of the rows; it may be by a score that none of them has."""
    if query.sort not in METRICS:
        return _FACTS[query.sort]
    return f"{METRICS[query.sort].title}{', reversed' if query.ascending else ''}"


def _printed(query: BoardQuery) -> list[dict[str, Any]]:
    """Collect the published results on this split, if its dataset has any."""
    config, _, name = query.split.partition("/")
    if config not in BENCHMARKS:
        return []
    rows = []
    for result in load_published().benchmarks()[BENCHMARKS[config]]:
        values = {metric: result.value(f"{metric} {name}") for metric in (GIOU.name, CIOU.name)}
        if any(value is not None for value in values.values()):
            rows.append({"result": result, "values": values})
    return sorted(rows, key=lambda row: -(row["values"][GIOU.name] or row["values"][CIOU.name]))


def record_view(record: ResultRecord) -> dict[str, Any]:
    """Collect the values of a result on a model page."""
    main = record.main_protocol
    scores = [
        {"title": METRICS[name].title, "estimate": estimate}
        for name, estimate in record.protocols[main].scores[ALL].items()
    ]
    groups: dict[str, list[dict[str, Any]]] = {}
    for subset in record.subsets:
        if subset.breakdown:
            cells = record.protocols[main].scores.get(subset.key, {})
            groups.setdefault(subset.breakdown, []).append({"subset": subset, "cells": cells})
    protocols = [
        {
            "protocol": protocol,
            "rules": describe_rules(protocol, get_protocol(main)),
            "cells": record.protocols[name].scores[ALL] if name in record.protocols else {},
            "reason": record.not_scored.get(name, ""),
        }
        for name, protocol in PROTOCOLS.items()
    ]
    shown = {"scores": scores, "groups": groups, "protocols": protocols, "curve_edges": CURVE}
    return {"record": record, "main": get_protocol(main), "radar": _radar([record], main), **shown}


def _table_of(record: ResultRecord) -> BoardQuery:
    return BoardQuery.of_split(record.split_key, record.main_protocol)


def entry_view(entry: BoardEntry, results: ModelResults) -> dict[str, Any]:
    """Collect the values of a model page on a static site. `results` are all of the model."""
    return {
        **record_view(entry.record),
        "results": results,
        "entry": entry,
        "table": _table_of(entry.record),
        "visibility": PUBLIC,
        "hidden": entry.record.hides_labels,
        "gallery": [],
        "own": False,
        "others": [],
    }


def model_view(session: Session, submission: Submission, result: ScoredResult, own: bool) -> dict[str, Any]:
    """Collect the values of a model page on a server."""
    entry = entry_of(submission, result)
    return {
        **entry_view(entry, results_of_model(session, entry.team, entry.model)),
        "visibility": submission.visibility,
        "gallery": [] if submission.split.hidden else result.gallery,
        "own": own,
    }


def compare_view(session: Session, ids: Sequence[str], protocol: str, keep: Keep) -> dict[str, Any]:
    """Collect the values of a comparison; where counts are stored, add paired tests against the first model.

    `protocol` is that of the scores, "" for the main one of the split. `keep` remembers the tests of two models, which
    take most of the time.

    Raises:
        RefusedError: the models belong to different splits.
    """
    submissions = [find_submission(session, one, None) for one in ids]
    if len({submission.split_id for submission in submissions}) > 1:
        raise RefusedError("these models were scored on different splits; compare models of one split", status=400)
    protocol = protocol or submissions[0].split.main_protocol
    results = [latest_result(session, submission) for submission in submissions]
    scored = [result for result in results if result is not None]
    entries = [entry_of(submission, result) for submission, result in zip(submissions, scored, strict=True)]
    if submissions[0].split.hidden:
        pairs = _shown_pairs([entry.record for entry in entries], protocol)
    else:
        pairs = [_pair(scored[0], other, protocol, keep) for other in scored[1:]]
    numbered = [{"index": index, **pair} for index, pair in enumerate(pairs, start=1) if pair is not None]
    return comparison(entries, protocol, numbered)


def _shown_pairs(records: Sequence[ResultRecord], protocol: str) -> list[dict[str, Any] | None]:
    """Compare the figures that the rows of a hidden split show."""
    compared = [subtract_shown(records[0], other, protocol) for other in records[1:]]
    return [{"tests": None, "rows": _difference_rows(each)} if each.differences else None for each in compared]


def _pair(first: ScoredResult, other: ScoredResult, protocol: str, keep: Keep) -> dict[str, Any] | None:
    """Compare two models. Either order gives the same figures with the other sign, so that one of them is computed."""
    turned = other.submission_id < first.submission_id
    one, two = (other, first) if turned else (first, other)
    ids = (one.submission_id, two.submission_id)
    pair = keep((*ids, protocol), ids, lambda: _compare(one, two, protocol))
    return _turn(pair) if turned and pair is not None else pair


def _compare(first: ScoredResult, other: ScoredResult, protocol: str) -> dict[str, Any] | None:
    kept = [read_details(result.counts, protocol) for result in (first, other)]
    if kept[0] is None or kept[1] is None:
        return None
    compared = compare_details(kept[0], kept[1])
    if compared is None:
        return None
    tests = compared.tests
    wins = None if tests is None else {"wins": tests.wins, "ties": tests.ties, "losses": tests.losses}
    return {"tests": wins, "rows": _difference_rows(compared)}


def _turn(pair: Mapping[str, Any]) -> dict[str, Any]:
    """Exchange the two models of a comparison."""
    rows = [
        {
            **row,
            "value": -row["value"] + 0.0,  # adding 0 takes the sign off -0.0
            "interval": row["interval"] and Interval(-row["interval"].high + 0.0, -row["interval"].low + 0.0),
        }
        for row in pair["rows"]
    ]
    tests = pair["tests"]
    return {"tests": tests and {**tests, "wins": tests["losses"], "losses": tests["wins"]}, "rows": rows}


def comparison(entries: Sequence[BoardEntry], protocol: str, pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put rows of one split side by side."""
    records = [entry.record for entry in entries]
    rows = []
    for name in COMPARE_COLUMNS:
        estimates = [record.estimate(protocol, ALL, name) for record in records]
        if any(estimate is not None for estimate in estimates):
            rows.append(
                {
                    "name": name,
                    "title": METRICS[name].title,
                    "estimates": estimates,
                    "scale": _scale_of(estimates),
                    "best": _best_of(estimates),
                }
            )
    return {
        "models": entries,
        "hidden": any(record.hides_labels for record in records),
        "rows": rows,
        "protocol": get_protocol(protocol),
        "protocols": PROTOCOLS.values(),
        "ids": [entry.id for entry in entries],
        "table": _table_of(records[0]),
        "pairs": pairs,
        "group_rows": _group_rows(records, protocol),
        "radar": _radar(records, protocol),
    }


def _radar(records: Sequence[ResultRecord], protocol: str) -> dict[str, Any] | None:
    """Draw the gIoU of every category that all records have; None for fewer than three."""
    categories = {
        subset.group: [one for record in records if (one := record.estimate(protocol, subset.key, GIOU.name))]
        for subset in records[0].subsets
        if subset.breakdown == _CATEGORY
    }
    shared = {name: found for name, found in categories.items() if len(found) == len(records)}
    scores = [[found[number].value for found in shared.values()] for number in range(len(records))]
    return draw_radar(list(shared), scores)


def _scale_of(estimates: Sequence[ScoreEstimate | None]) -> tuple[float, float]:
    ends = [end for estimate in estimates if estimate for end in estimate if end is not None]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _best_of(estimates: Sequence[ScoreEstimate | None]) -> float | None:
    values = [estimate.value for estimate in estimates if estimate]
    return max(values) if values else None


def _difference_rows(compared: PublicComparison) -> list[dict[str, Any]]:
    tests = None if compared.tests is None else compared.tests.differences
    return [
        {
            "title": METRICS[name].title,
            "value": value,
            "interval": interval,
            "p_value": None if tests is None else tests[name].p_value,
            "beyond_chance": interval is not None and (interval.low > 0 or interval.high < 0),
        }
        for name, (value, interval) in compared.differences.items()
    ]


def _group_rows(records: Sequence[ResultRecord], protocol: str) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for subset in records[0].subsets:
        values = [record.estimate(protocol, subset.key, GIOU.name) for record in records]
        if subset.breakdown and all(value is not None for value in values):
            rows.setdefault(subset.breakdown, []).append(
                {"subset": subset, "estimates": values, "best": _best_of(values)}
            )
    return rows


def published_view() -> dict[str, Any]:
    """Collect published results by benchmark, and separately those without a verified figure."""
    tables = []
    for name, results in load_published().benchmarks().items():
        stated = [result for result in results if result.grade != "U"]
        untold = [result for result in results if result.grade == "U"]
        tables.append({"name": name, "columns": columns_of(stated), "rows": stated, "untold": untold})
    return {"tables": tables, "grades": GRADES}


def api_view(description: dict[str, Any]) -> dict[str, Any]:
    """Collect the API's description by path."""
    calls = [
        {
            "method": method.upper(),
            "path": path,
            "summary": call.get("summary", ""),
            "text": call.get("description", ""),
            "parameters": [{"description": "", **parameter} for parameter in call.get("parameters", [])],
            "body": _body_of(call, description),
        }
        for path, methods in description["paths"].items()
        for method, call in methods.items()
    ]
    return {"calls": calls}


def _body_of(call: dict[str, Any], description: dict[str, Any]) -> list[dict[str, Any]]:
    """List the fields of a JSON body."""
    schema = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    body = description["components"]["schemas"].get(name, {})
    needed = body.get("required", [])
    return [
        {"name": field, "text": facts.get("description", ""), "required": field in needed}
        for field, facts in body.get("properties", {}).items()
    ]
