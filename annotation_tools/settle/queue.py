"""The tasks that wait for a third person, and their rulings."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.files import file_stamp
from earthreason.masks.rle import empty_rle

from ..drawing import Drawing
from ..gold import GOLD, without_gold
from ..quality.adjudicate import Rules, adjudicate
from ..review.database import ConflictError
from ..review.web import clean_name
from ..rulings import (
    CHOICES,
    RETURNED,
    RULINGS,
    Afterwards,
    Ruling,
    add_ruling,
    all_rulings,
    latest_rulings,
    now,
)
from ..workspace import CONSENSUS, DRAWINGS, TASKS, Consensus, Workspace, fingerprints

LONGEST_COMMENT = 2000


class Choice(BaseModel):
    """A ruling sent by the page.

    Attributes:
        task: task ID.
        choice: one of `CHOICES`.
        by: name of the third person.
        sources: fingerprints of the drawings on the page.
        revision: number of rulings on the task that the page knows.
        taken: fingerprint of the drawing that is taken.
        category: category of the merged drawing, None for the proposed one.
        comment: comment; `again` needs one.
        confirmed: whether the person says "no target" although nobody who drew did.
        key: key chosen by the page, so that a repeated request counts once.
    """

    model_config = ConfigDict(extra="forbid")
    task: str = Field(min_length=1)
    choice: str
    by: str = Field(min_length=1, max_length=60)
    sources: list[str]
    revision: int = Field(ge=0)
    taken: str = ""
    category: str | None = None
    comment: str = Field(default="", max_length=LONGEST_COMMENT)
    confirmed: bool = False
    key: str = Field(min_length=8, max_length=64)


@dataclass(frozen=True)
class Case:
    """A task with drawings that differ, or did.

    Attributes:
        task: task ID.
        drawings: drawings to choose from.
        sources: fingerprints of all drawings, sorted.
        proposal: merged drawings, with the reason why they wait.
        ruling: ruling that holds, None without one.
        again: why it waits for a new drawing, empty if it does not.
        revision: number of rulings on the task so far.
    """

    task: str
    drawings: list[Drawing]
    sources: list[str]
    proposal: Consensus
    ruling: Ruling | None
    again: str
    revision: int


class SettleQueue:
    """The cases of a workspace; they are read again when its files change."""

    def __init__(self, workspace: Workspace, rules: Rules) -> None:
        self.workspace = workspace
        self._rules = rules
        self._lock = threading.RLock()
        self._stamp = self._tasks_stamp = ""
        self._cases: dict[str, Case] = {}
        self._merged: dict[str, Consensus] = {}

    def cases(self) -> dict[str, Case]:
        """Return the cases by task, in the order of the tasks: waiting ones and those with a ruling."""
        with self._lock:
            stamp = self._stamp_of(TASKS, DRAWINGS, CONSENSUS, RULINGS, RETURNED, GOLD)
            if stamp != self._stamp:
                self._cases, self._stamp = self._read(), stamp
            return self._cases

    def case(self, task: str) -> Case:
        """Return a case.

        Raises:
            DataNotFoundError: nobody has to settle this task.
        """
        found = self.cases().get(task)
        if found is None:
            raise DataNotFoundError(f"task {task!r} does not wait for a third person; open the start page again")
        return found

    def _stamp_of(self, *names: str) -> str:
        root = self.workspace.root
        return "\n".join(file_stamp(root / name, root) for name in names if (root / name).is_file())

    def _read(self) -> dict[str, Case]:
        stamp = self._stamp_of(TASKS)
        if stamp != self._tasks_stamp:  # the same workspace keeps its drawings, while rulings change often
            self.workspace, self._tasks_stamp = Workspace.open(self.workspace.root), stamp
        drawings, consensus = without_gold(self.workspace, self.workspace.drawings()), self.workspace.consensus()
        rulings, afterwards = all_rulings(self.workspace), Afterwards(self.workspace)
        latest, counts = latest_rulings(rulings), Counter(ruling.task for ruling in rulings)
        cases = {}
        for task in self.workspace.tasks:
            several = drawings.get(task)
            if not several:
                continue
            found, sources = afterwards.of(task, several), fingerprints(several)
            entry = consensus.get(task)
            if entry is None or entry.sources != sources:
                entry = self._merge(task, found.usable)
            kept = latest.get(task)
            again = found.waits if kept is not None and kept.choice == "again" else ""
            if found.ruling is None and not again and (entry.settled or found.waits):
                continue
            cases[task] = Case(task, found.usable, sources, entry, found.ruling, again, counts[task])
        return cases

    def _merge(self, task: str, drawings: list[Drawing]) -> Consensus:
        known = self._merged.get(task)
        if known is None or not known.is_of(drawings):
            (known,) = adjudicate({task: drawings}, self._rules)
            self._merged[task] = known
        return known

    def rule(self, choice: Choice) -> Case:
        """Store a ruling; it is on disk when this returns. Repeating a key changes nothing.

        Raises:
            DataNotFoundError: nobody has to settle this task.
            ConflictError: the drawings have changed, or someone else has ruled on the task meanwhile.
            EarthReasonError: the choice is not possible; the message says why.
        """
        by = clean_name(choice.by)
        with self._lock, self.workspace.changing():
            if any(ruling.key == choice.key for ruling in all_rulings(self.workspace)):
                return self.case(choice.task)
            case = self.case(choice.task)
            if case.sources != sorted(choice.sources):
                raise ConflictError("someone has drawn this task again, so nothing was saved; look at the drawings")
            if case.revision != choice.revision:
                said = f"{case.ruling.by} has ruled on it" if case.ruling else "its ruling has changed"
                raise ConflictError(f"{said} in another window, so nothing was saved; check the task again")
            drawing, taken = _decided(case, choice)
            comment = choice.comment.strip()
            ruling = Ruling(case.task, choice.choice, by, now(), case.sources, drawing, taken, comment, choice.key)
            add_ruling(self.workspace, ruling)
            self._stamp = ""
            return self._after(case, ruling)

    def _after(self, case: Case, ruling: Ruling) -> Case:
        there = self.cases().get(case.task)
        return there or replace(case, ruling=None, again="", revision=case.revision + 1)


def _decided(case: Case, choice: Choice) -> tuple[Drawing | None, str]:
    """Return the drawing that counts from now on, and the fingerprint of the one that was taken."""
    if choice.choice not in CHOICES:
        raise EarthReasonError(f"choice {choice.choice!r}; known: {', '.join(CHOICES)}")
    if choice.choice == "withdraw":
        if case.ruling is None and not case.again:
            raise EarthReasonError("there is no ruling to withdraw")
        return None, ""
    if choice.choice == "again":
        if not choice.comment.strip():
            raise EarthReasonError("say what is wrong, for those who draw again")
        return None, ""
    if choice.choice == "drawing":
        for drawing in case.drawings:
            if drawing.fingerprint == choice.taken:
                return replace(drawing, annotator="", tool="settle", key="", version=1), choice.taken
        raise EarthReasonError("choose one of the drawings")
    if choice.choice == "empty":
        if not choice.confirmed and not any(drawing.is_empty for drawing in case.drawings):
            raise EarthReasonError("nobody who drew this said that there is no target; confirm that you say so")
        first = case.drawings[0]
        return Drawing(case.task, empty_rle(first.height, first.width), tool="settle"), ""
    merged = case.proposal.drawing
    if merged.is_empty:
        raise EarthReasonError("the merged mask has no pixels; choose a drawing, or say that there is no target")
    known = {drawing.category for drawing in case.drawings if not drawing.is_empty}
    category = choice.category if choice.category is not None else merged.category
    if category not in known:
        raise EarthReasonError(f"category {category!r} was chosen by nobody who drew this")
    return replace(merged, category=category, tool="settle"), ""
