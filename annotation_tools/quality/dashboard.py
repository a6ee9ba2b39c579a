"""How far an annotation project is: per person and in total, with pace, cost, deadlines and gold tasks."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from ..assignments import open_assignments, person, read_assignments
from ..drawing import Drawing
from ..gold import gold
from ..rulings import current_consensus
from ..workspace import Workspace
from .gold_scores import GoldScore, score_gold
from .masks import compare_drawings

LONGEST = 1800.0
"""Longest time between two saves, in seconds, that counts as work on the second; more is a break."""


@dataclass(frozen=True)
class Progress:
    """Work of one person.

    Attributes:
        name: name of the person.
        drawn: number of tasks drawn.
        waiting: number of assigned tasks not drawn yet, None if nothing is assigned to anybody.
        reviewed: number of questions judged, None without a review.
        iou: mean IoU with other people's masks, without gold tasks; None without any.
        hours: hours of drawing whose length is known.
        per_hour: drawings per hour of these, None if no length is known.
        cost: cost of a drawing, None without a rate or a pace.
        due: next deadline of the tasks that wait, None without one.
        overdue: number of waiting tasks whose deadline has passed.
        gold: score on gold tasks, None if the person drew none.
    """

    name: str
    drawn: int
    waiting: int | None
    reviewed: int | None
    iou: float | None
    hours: float
    per_hour: float | None
    cost: float | None
    due: date | None
    overdue: int
    gold: GoldScore | None


@dataclass(frozen=True)
class Dashboard:
    """State of a workspace.

    Attributes:
        tasks: number of tasks, without gold tasks.
        drawn: number of these that somebody drew.
        settled: number of tasks with an agreed mask.
        disputed: number of tasks that wait for a third person.
        gold: number of gold tasks.
        questions: number of questions, and of those judged; None without a review.
        iou: mean IoU over pairs of people, without gold tasks; None without pairs.
        hours: hours of drawing whose length is known.
        per_hour: drawings per hour of these, None if no length is known.
        cost: cost of a drawing, None without a rate or a pace.
        rate: cost of an hour, None if unknown.
        day: day from which deadlines are counted.
        people: work of each person.
    """

    tasks: int
    drawn: int
    settled: int
    disputed: int
    gold: int
    questions: tuple[int, int] | None
    iou: float | None
    hours: float
    per_hour: float | None
    cost: float | None
    rate: float | None
    day: date
    people: list[Progress]

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return dict(json.loads(json.dumps(asdict(self), default=date.isoformat)))


def summarise(
    workspace: Workspace,
    verdicts: Iterable[Mapping[str, Any]] | None = None,
    questions: int = 0,
    rate: float | None = None,
    day: date | None = None,
) -> Dashboard:
    """Summarise the state of a workspace.

    Args:
        workspace: workspace.
        verdicts: verdicts from `ReviewStore.verdicts`, None without a review.
        questions: number of questions in that review.
        rate: cost of an hour of drawing.
        day: day from which deadlines are counted; today by default.

    Raises:
        DataFormatError: a file of the workspace is invalid.
    """
    day = day or datetime.now(UTC).date()
    drawings, golden, consensus = workspace.drawings(), gold(workspace), current_consensus(workspace)
    own: dict[str, list[Drawing]] = defaultdict(list)
    for several in drawings.values():
        for drawing in several:
            own[drawing.annotator].append(drawing)
    given = None if verdicts is None else [verdict for verdict in verdicts if verdict["round"] == 1]
    judged = Counter(verdict["reviewer"] for verdict in given or ())
    pairs = compare_drawings({task: several for task, several in drawings.items() if task not in golden})
    ious: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        ious[pair.first].append(pair.iou)
        ious[pair.second].append(pair.iou)
    scores = score_gold(golden, drawings)
    seconds = {name: drawing_seconds(work) for name, work in own.items()}
    open_tasks = assigned = None
    if known := read_assignments(workspace):
        spelled = {person(name): name for name in own if name}  # e-mail addresses compare in lower case
        open_tasks = [
            replace(entry, annotator=spelled.get(entry.annotator, entry.annotator))
            for entry in open_assignments(workspace)
        ]
        assigned = {spelled.get(entry.annotator, entry.annotator) for entry in known}
    people = []
    for name in sorted({*own, *judged, *(assigned or ())}):
        rest = None if open_tasks is None else [entry for entry in open_tasks if entry.annotator == name]
        due = [date.fromisoformat(entry.due) for entry in rest or () if entry.due is not None]
        hours, pace, cost = _pace(seconds.get(name, []), rate)
        people.append(
            Progress(
                name,
                len(own[name]),
                None if rest is None else len(rest),
                None if given is None else judged[name],
                float(np.mean(ious[name])) if ious[name] else None,
                hours,
                pace,
                cost,
                min(due, default=None),
                sum(last < day for last in due),
                scores.get(name),
            )
        )
    hours, pace, cost = _pace([value for values in seconds.values() for value in values], rate)
    decided = {(verdict["split"], verdict["sample_id"], verdict["number"]) for verdict in given or ()}
    counted = [entry for task, entry in consensus.items() if task not in golden]
    return Dashboard(
        tasks=sum(task not in golden for task in workspace.tasks),
        drawn=sum(task not in golden for task in drawings),
        settled=sum(entry.settled for entry in counted),
        disputed=sum(not entry.settled for entry in counted),
        gold=len(golden),
        questions=None if given is None else (questions, len(decided)),
        iou=float(np.mean([pair.iou for pair in pairs])) if pairs else None,
        hours=hours,
        per_hour=pace,
        cost=cost,
        rate=rate,
        day=day,
        people=people,
    )


def drawing_seconds(work: Sequence[Drawing]) -> list[float]:
    """Return the known lengths of one person's drawings in seconds.

    The length is what the tool measured, or else the time since the person's last save, if that is at most `LONGEST`.
    """
    earliest = datetime.min.replace(tzinfo=UTC)
    lengths, last = [], earliest
    for drawing in sorted(work, key=lambda drawing: drawing.saved):
        since = (drawing.saved - last).total_seconds()
        if drawing.seconds is not None:
            lengths.append(drawing.seconds)
        elif last > earliest and 0 < since <= LONGEST:
            lengths.append(since)
        last = drawing.saved
    return lengths


def _pace(seconds: Sequence[float], rate: float | None) -> tuple[float, float | None, float | None]:
    """Return hours, drawings per hour, and the cost of one."""
    hours = sum(seconds) / 3600
    if not hours:
        return 0.0, None, None
    return hours, len(seconds) / hours, None if rate is None else rate * hours / len(seconds)
