"""What people decide about drawings afterwards: a third person's rulings, and masks sent back to be drawn again.

    rulings.jsonl     returned.jsonl

Both files are only appended to. They are applied when the consensus is read, never written into it, so that a ruling
can be withdrawn and no longer holds when one of its drawings changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from earthreason.errors import DataFormatError

from .drawing import Drawing
from .gold import without_gold
from .lines import append_lines, read_rows, row_line
from .workspace import Consensus, Workspace, fingerprints

RULINGS, RETURNED = "rulings.jsonl", "returned.jsonl"
CHOICES = ("drawing", "merged", "empty", "again", "withdraw")
"""Take one drawing, the merged one or "no target"; have it drawn again; withdraw the ruling before."""


@dataclass(frozen=True)
class Ruling:
    """A third person's ruling on the drawings for a task.

    Attributes:
        task: task ID.
        choice: one of `CHOICES`.
        by: name of the third person.
        at: time, ISO 8601.
        sources: fingerprints of all drawings for the task, sorted; the ruling holds for exactly these.
        drawing: mask that counts from now on, None for `again` and `withdraw`.
        taken: fingerprint of the drawing that was taken, empty for other choices.
        comment: comment for those who draw again.
        key: key chosen by the page, so that a repeated request counts once.
    """

    task: str
    choice: str
    by: str
    at: str
    sources: list[str]
    drawing: Drawing | None = None
    taken: str = ""
    comment: str = ""
    key: str = ""


@dataclass(frozen=True)
class Return:
    """A mask that reviewers rejected, sent back to be drawn again.

    Attributes:
        task: task ID.
        comment: what the reviewers said, shown to those who draw.
        by: names of the reviewers.
        at: time of the latest rejection, ISO 8601.
        drawings: fingerprints of the rejected drawings, sorted.
    """

    task: str
    comment: str
    by: list[str]
    at: str
    drawings: list[str] = field(default_factory=list)


def now() -> str:
    """Return the time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def all_rulings(workspace: Workspace) -> list[Ruling]:
    """Read all rulings, withdrawn ones included, oldest first.

    Raises:
        DataFormatError: the file was not written by this program.
    """
    return list(read_rows(workspace.root / RULINGS, _ruling_of, appended=True))


def _ruling_of(row: dict[str, Any]) -> Ruling:
    drawing = row.get("drawing")
    ruling = Ruling(**{**row, "drawing": None if drawing is None else Drawing.of_row(drawing)})
    _moment(ruling.at)
    return ruling


def latest_rulings(rulings: Iterable[Ruling]) -> dict[str, Ruling]:
    """Return the last ruling on each task that was not withdrawn."""
    latest: dict[str, Ruling] = {}
    for ruling in rulings:
        if ruling.choice == "withdraw":
            latest.pop(ruling.task, None)
        else:
            latest[ruling.task] = ruling
    return latest


def add_ruling(workspace: Workspace, ruling: Ruling) -> None:
    """Store a ruling; it is on disk when this returns. Call it while holding the lock of the workspace."""
    append_lines(workspace.root / RULINGS, [row_line(asdict(ruling))])


def all_returns(workspace: Workspace) -> list[Return]:
    """Read all returned masks, oldest first.

    Raises:
        DataFormatError: the file was not written by this program.
    """
    return list(read_rows(workspace.root / RETURNED, _return_of, appended=True))


def add_returns(workspace: Workspace, returns: Sequence[Return]) -> list[Return]:
    """Store returned masks that are not stored yet; return these. Call it while holding the lock of the workspace."""
    known = {(entry.task, entry.at, *entry.drawings) for entry in all_returns(workspace)}
    new = [entry for entry in returns if (entry.task, entry.at, *entry.drawings) not in known]
    if new:
        append_lines(workspace.root / RETURNED, [row_line(asdict(entry)) for entry in new])
    return new


def _return_of(row: dict[str, Any]) -> Return:
    entry = Return(**row)
    _moment(entry.at)
    return entry


@dataclass(frozen=True)
class Verdict:
    """What holds for a task besides its drawings.

    Attributes:
        ruling: ruling that holds for exactly these drawings, None without one.
        waits: why someone must draw again, empty if no one must.
        comment: comment for those who draw again.
        usable: drawings that were not rejected; all of them if nothing newer was drawn.
    """

    ruling: Ruling | None
    waits: str
    comment: str
    usable: list[Drawing]


class Afterwards:
    """Rulings and returned masks of a workspace, as stored when it is created."""

    def __init__(self, workspace: Workspace) -> None:
        self.latest = latest_rulings(all_rulings(workspace))
        self._returns: dict[str, list[Return]] = defaultdict(list)
        for entry in all_returns(workspace):
            self._returns[entry.task].append(entry)
        for ruling in self.latest.values():
            if ruling.choice == "again":
                back = Return(ruling.task, ruling.comment, [ruling.by], ruling.at, ruling.sources)
                self._returns[ruling.task].append(back)

    def of(self, task: str, drawings: Sequence[Drawing]) -> Verdict:
        """Return what holds for a task with these drawings. Of a ruling and a return, the later one counts."""
        returns = sorted(self._returns.get(task, ()), key=lambda entry: _moment(entry.at))
        ruling = self.latest.get(task)
        if ruling is not None and (ruling.choice == "again" or ruling.sources != fingerprints(drawings)):
            ruling = None
        rejected = {fingerprint for entry in returns for fingerprint in entry.drawings}
        fresh = [drawing for drawing in drawings if drawing.fingerprint not in rejected]
        if fresh or not returns or not drawings:
            return Verdict(ruling, "", "", fresh or list(drawings))
        if ruling is not None and _moment(ruling.at) > _moment(returns[-1].at):
            return Verdict(ruling, "", "", list(drawings))
        last = returns[-1]
        said = f": {last.comment}" if last.comment else ""
        return Verdict(None, f"sent back by {', '.join(last.by)}{said}", last.comment, list(drawings))


def usable_drawings(workspace: Workspace, drawings: Mapping[str, Sequence[Drawing]]) -> dict[str, list[Drawing]]:
    """Return the drawings by task without those that were rejected and followed by another one."""
    afterwards = Afterwards(workspace)
    return {task: afterwards.of(task, several).usable for task, several in drawings.items()}


def apply_rulings(
    workspace: Workspace,
    drawings: Mapping[str, Sequence[Drawing]],
    consensus: Mapping[str, Consensus],
    alone: bool = False,
) -> dict[str, Consensus]:
    """Return a consensus with the rulings, and with returned masks as not settled.

    Args:
        workspace: workspace with rulings and returned masks.
        drawings: drawings by task.
        consensus: merged drawings by task.
        alone: whether tasks without an entry whose drawing was returned get one.
    """
    afterwards, merged = Afterwards(workspace), dict(consensus)
    for task, several in drawings.items():
        found, entry = afterwards.of(task, several), merged.get(task)
        if found.ruling is not None:
            merged[task] = _ruled(found.ruling, several, entry)
        elif found.waits and (entry is not None or alone):
            base = entry or Consensus(several[0], "single", False)
            merged[task] = replace(base, settled=False, reason=found.waits, sources=fingerprints(several))
    return merged


def current_consensus(workspace: Workspace) -> dict[str, Consensus]:
    """Return the result of `adjudicate` by task, with rulings and returned masks, without gold tasks."""
    return without_gold(workspace, apply_rulings(workspace, workspace.drawings(), workspace.consensus()))


def _ruled(ruling: Ruling, drawings: Sequence[Drawing], entry: Consensus | None) -> Consensus:
    if ruling.drawing is None:
        raise DataFormatError(f"{RULINGS}: the ruling on {ruling.task!r} has no mask")
    names = ("annotator", "created", "seconds", "tool", "version")
    behind = [{name: getattr(drawing, name) for name in names} for drawing in drawings]
    behind.append({"annotator": ruling.by, "created": ruling.at, "tool": "settle", "choice": ruling.choice})
    iou = entry.iou if entry is not None else None
    return Consensus(ruling.drawing, "adjudicator", True, "", iou, behind, fingerprints(drawings))


def returned_comments(workspace: Workspace) -> dict[str, str]:
    """Return the comment for those who must draw again, by task; empty once someone has."""
    afterwards = Afterwards(workspace)
    found = {task: afterwards.of(task, several) for task, several in workspace.drawings().items()}
    return {task: verdict.comment or verdict.waits for task, verdict in found.items() if verdict.waits}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
