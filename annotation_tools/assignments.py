"""Who is to draw which task until when.

    assignments.jsonl

A line assigns a task to a person, or, with `released`, ends that. The file is only appended to. Label Studio's open
edition knows no assignments: it shows them to people, and does not keep others from drawing.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError, UnknownNameError

from .lines import append_lines, read_rows
from .rulings import now, returned_comments
from .workspace import Workspace

ASSIGNMENTS = "assignments.jsonl"


@dataclass(frozen=True)
class Assignment:
    """A task that a person is to draw.

    Attributes:
        task: task ID.
        annotator: name or e-mail address, the latter in lower case.
        due: last day, ISO 8601; None without one.
        at: time of the assignment, ISO 8601.
        released: whether this line ends the assignment.
    """

    task: str
    annotator: str
    due: str | None = None
    at: str = ""
    released: bool = False


@dataclass(frozen=True)
class Load:
    """What a person has been assigned: numbers of tasks, of drawn ones, and of late ones; and the next last day."""

    annotator: str
    tasks: int
    drawn: int
    late: int
    due: str | None


def person(name: str) -> str:
    """Return a name without outer spaces; e-mail addresses in lower case, so that they compare.

    Raises:
        EarthReasonError: the name is empty, too long or not printable.
    """
    clean = " ".join(name.split())
    if not clean or len(clean) > 254 or not clean.isprintable():
        raise EarthReasonError(f"{name!r} is not a name: give 1 to 254 printable characters")
    return clean.lower() if "@" in clean else clean


def read_assignments(workspace: Workspace) -> list[Assignment]:
    """Read the current assignments, in the order in which they were made.

    Raises:
        DataFormatError: the file was not written by this program.
    """
    current: dict[tuple[str, str], Assignment] = {}
    for entry in read_rows(workspace.root / ASSIGNMENTS, _assignment_of, appended=True):
        key = entry.task, person(entry.annotator)
        current.pop(key, None)
        if not entry.released:
            current[key] = entry
    return [entry for entry in current.values() if entry.task in workspace.tasks]


def _assignment_of(row: dict[str, Any]) -> Assignment:
    entry = Assignment(**row)
    try:
        person(entry.annotator)
    except EarthReasonError as error:
        raise ValueError(error) from None
    if entry.due is not None:
        date.fromisoformat(entry.due)
    return entry


def assigned_to(workspace: Workspace) -> dict[str, list[str]]:
    """Return the names of the people who are to draw each task; tasks without an assignment are left out."""
    people: dict[str, list[str]] = defaultdict(list)
    for entry in read_assignments(workspace):
        people[entry.task].append(entry.annotator)
    return dict(people)


def assign(
    workspace: Workspace, people: Sequence[str], count: int | None = None, due: date | None = None, per_image: int = 1
) -> list[Assignment]:
    """Assign tasks to people, evenly and in the order of the tasks; return the new assignments.

    A task gets people until `per_image` have been assigned or have drawn it, never one of them twice. Drawings that
    were sent back do not count.

    Args:
        workspace: workspace with the tasks.
        people: names or e-mail addresses.
        count: most new tasks for each person, None for as many as there are.
        due: last day.
        per_image: number of people for each task.

    Raises:
        EarthReasonError: a name is not one, or there are fewer names than people needed.
    """
    names = list(dict.fromkeys(map(person, people)))
    with workspace.changing():
        busy = people_of(workspace)
        load = Counter(entry.annotator for entry in open_assignments(workspace))
        new: list[Assignment] = []
        got: Counter[str] = Counter()
        stamp = now()
        for task in workspace.tasks:
            there = busy[task]
            while len(there) < per_image:
                free = [name for name in names if name not in there and (count is None or got[name] < count)]
                if not free:
                    break
                name = min(free, key=lambda one: (load[one], names.index(one)))
                there.add(name)
                load[name] += 1
                got[name] += 1
                new.append(Assignment(task, name, None if due is None else due.isoformat(), stamp))
        _append(workspace, new)
    return new


def people_of(workspace: Workspace) -> dict[str, set[str]]:
    """Return by task who is to draw it, or has drawn it and need not do so again."""
    again = returned_comments(workspace)
    people: dict[str, set[str]] = {task: set() for task in workspace.tasks}
    for task, several in workspace.drawings().items():
        if task not in again:
            people[task] = {person(drawing.annotator or "unknown") for drawing in several}
    for entry in read_assignments(workspace):
        people[entry.task].add(entry.annotator)
    return people


def open_assignments(workspace: Workspace) -> list[Assignment]:
    """Return the assignments that are not drawn yet; masks that were sent back are not."""
    done = _done(workspace)
    return [entry for entry in read_assignments(workspace) if (entry.task, entry.annotator) not in done]


def release(workspace: Workspace, name: str) -> list[Assignment]:
    """End the assignments of a person that are not drawn yet; return them.

    Raises:
        UnknownNameError: nothing is assigned to this person.
    """
    name = person(name)
    with workspace.changing():
        current = read_assignments(workspace)
        if name not in {entry.annotator for entry in current}:
            raise UnknownNameError("--release", name, sorted({entry.annotator for entry in current}))
        ended = [entry for entry in open_assignments(workspace) if entry.annotator == name]
        _append(workspace, [Assignment(e.task, name, e.due, now(), released=True) for e in ended])
    return ended


def loads(workspace: Workspace, today: date | None = None) -> list[Load]:
    """Count by person what is assigned, drawn and late, by name."""
    today, waiting = today or date.today(), open_assignments(workspace)
    by_name: dict[str, list[Assignment]] = defaultdict(list)
    for entry in read_assignments(workspace):
        by_name[entry.annotator].append(entry)
    found = []
    for name, entries in sorted(by_name.items()):
        left = [entry for entry in waiting if entry.annotator == name]
        days = sorted(entry.due for entry in left if entry.due)
        late = sum(date.fromisoformat(day) < today for day in days)
        found.append(Load(name, len(entries), len(entries) - len(left), late, days[0] if days else None))
    return found


def _done(workspace: Workspace) -> set[tuple[str, str]]:
    """Return pairs of task and annotator that are drawn; masks that were sent back are not."""
    again = returned_comments(workspace)
    return {
        (task, person(drawing.annotator))
        for task, several in workspace.drawings().items()
        for drawing in several
        if drawing.annotator.strip() and task not in again
    }


def _append(workspace: Workspace, entries: Sequence[Assignment]) -> None:
    if entries:
        lines = [json.dumps(_row(entry), ensure_ascii=False) + "\n" for entry in entries]
        append_lines(Path(workspace.root) / ASSIGNMENTS, lines)


def _row(entry: Assignment) -> dict[str, Any]:
    return {name: value for name, value in asdict(entry).items() if name != "released" or value}
