"""The folder of an annotation project: pictures, tasks, all drawings, and the agreed masks.

    images/ID.png|jpg     tasks.jsonl     drawings.jsonl     prelabels.jsonl     consensus.jsonl     server.json

Files are replaced atomically. `drawings.jsonl` keeps all versions of every drawing and is appended to; a last line
that a crash cut off is no drawing, and the next append removes it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.files import file_stamp

from .drawing import Drawing
from .errors import DrawingError
from .images import same_pixels
from .lines import append_lines, read_rows, row_line, write_rows
from .servers import Server, people_of, read_servers, update_server, write_server

TASKS, DRAWINGS, PRELABELS, CONSENSUS = "tasks.jsonl", "drawings.jsonl", "prelabels.jsonl", "consensus.jsonl"
CATEGORIES = "categories.json"
"""Categories given to `masks start`, as a JSON list."""
SERVER = "server.json"
ANNOTATION = "annotation "
"""Beginning of the keys of drawings that were collected from a Label Studio; its ID of the annotation follows."""
_FEW = 8
"""Number of tasks up to which it is faster to search lines for their names than to parse all lines."""
_WAIT = 60.0
"""Seconds to wait while another command changes the workspace."""


@dataclass(frozen=True)
class AnnotationTask:
    """A target to be marked on an image, or several targets that one question asks for.

    Attributes:
        task: ID, also the ID of the sample.
        picture: file name in `images/`; tasks about one image share it.
        height: height of the picture, pixels.
        width: width of the picture, pixels.
        split: split of the sample.
        ground_resolution: metres per pixel, None if unknown.
        category: expected category; annotators may choose another.
        source: origin of the image, None if unknown.
        questions: questions about the target; may be added later.
        answers: answers to the questions.
        reasoning_type: kind of reasoning that the questions need, None if unknown.
        unseen: what the training data lacks of the questions, None if unknown.
        transform: a, b, c, d, e, f of the pixel-to-world transform, None without georeference.
        crs: coordinate reference system as WKT or EPSG code, None without one.
        target: what to mark, as annotators read it; None if the questions or the category say it.
        origin: path of the picture in the folder it was imported from, with `/`; None if unknown.
        separate: whether the regions of a drawing are separate targets, stored as `Drawing.targets`.
    """

    task: str
    picture: str
    height: int
    width: int
    split: str = "test"
    ground_resolution: float | None = None
    category: str | None = None
    source: str | None = None
    questions: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    reasoning_type: str | None = None
    unseen: str | None = None
    transform: list[float] | None = None
    crs: str | None = None
    target: str | None = None
    origin: str | None = None
    separate: bool = False

    @property
    def image(self) -> str:
        """ID of the image: the stem of the picture's file name, which tasks about the same image share."""
        return Path(self.picture).stem


@dataclass(frozen=True)
class Consensus:
    """The merged drawings of an image.

    Attributes:
        drawing: merged mask.
        method: single, majority, staple or adjudicator.
        settled: whether the mask may be exported; otherwise it waits for a third person.
        reason: reason why it is not settled.
        iou: lowest IoU between two of the drawings, None for a single one.
        behind: annotator, time, seconds, tool and version of every merged drawing.
        sources: fingerprints of these drawings, sorted.
    """

    drawing: Drawing
    method: str
    settled: bool
    reason: str = ""
    iou: float | None = None
    behind: list[dict[str, Any]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def is_of(self, drawings: Iterable[Drawing]) -> bool:
        """Tell whether it was made from exactly these drawings."""
        return self.sources == fingerprints(drawings)


def fingerprints(drawings: Iterable[Drawing]) -> list[str]:
    """Return the fingerprints of drawings, sorted."""
    return sorted(drawing.fingerprint for drawing in drawings)


def fault_of(drawing: Drawing, tasks: Mapping[str, AnnotationTask]) -> str:
    """Say why a drawing does not fit its task; empty if it does."""
    task = tasks.get(drawing.task)
    if task is None:
        return f"{drawing.task}: the workspace has no image with this name"
    if (drawing.height, drawing.width) != (task.height, task.width):
        return (
            f"{drawing.task}: drawn on {drawing.width} x {drawing.height} pixels, but the image is {task.width} x "
            f"{task.height}; it was resized. Draw on the original, or import the image that was drawn on"
        )
    return ""


def is_workspace(path: Path) -> bool:
    """Tell whether a folder is an annotation project."""
    return (path / TASKS).is_file()


class Workspace:
    """An annotation project on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tasks: dict[str, AnnotationTask] | None = None
        self._drawn: tuple[list[str], dict[str, list[Drawing]]] | None = None

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open an existing workspace.

        Raises:
            DataNotFoundError: the folder is not an annotation project.
        """
        if not is_workspace(root):
            raise DataNotFoundError(f"{root} is not an annotation project: it has no {TASKS}; run `masks import`")
        return cls(root)

    @property
    def tasks(self) -> dict[str, AnnotationTask]:
        """Tasks by ID, in the order of their import."""
        if self._tasks is None:
            self._tasks = {task.task: task for task in read_rows(self.root / TASKS, lambda row: AnnotationTask(**row))}
        return self._tasks

    def picture(self, task: str) -> Path:
        """Return the path of a task's picture."""
        return self.root / "images" / self.tasks[task].picture

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Lock the workspace against changes by other processes until the block ends.

        Raises:
            EarthReasonError: another process has held the lock for a minute.
        """
        from filelock import FileLock, Timeout

        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=_WAIT):
                yield
        except Timeout:
            raise EarthReasonError(f"{self.root} is being changed by another command; try again later") from None

    def add_tasks(self, tasks: Iterable[AnnotationTask]) -> int:
        """Add tasks whose pictures are in `images/`, replacing those with the same ID; return how many are new."""
        before = dict(self.tasks) if is_workspace(self.root) else {}
        merged = before | {task.task: task for task in tasks}
        write_rows(self.root / TASKS, [asdict(task) for task in merged.values()])
        self._tasks = merged
        return len(merged) - len(before)

    def replace_tasks(self, tasks: Iterable[AnnotationTask]) -> None:
        """Write the tasks, replacing all earlier ones."""
        self._tasks = {task.task: task for task in tasks}
        write_rows(self.root / TASKS, [asdict(task) for task in self._tasks.values()])

    def replaced(self, tasks: Iterable[AnnotationTask], folder: Path) -> list[str]:
        """List the tasks whose existing picture would be replaced by another one.

        Args:
            tasks: tasks to be imported.
            folder: folder of their pictures.

        Raises:
            DataFormatError: such a task has drawings or is on a Label Studio server; the message names it.
        """
        there = self.tasks if is_workspace(self.root) else {}
        seen = {drawing.task for drawing in self.versions()} | set(there if self.servers() else ())
        changed = []
        for task in tasks:
            old = there.get(task.task)
            if old is None or self._is_shown_by(old, folder / task.picture, task):
                continue
            if task.task in seen:
                raise DataFormatError(
                    f"task {task.task!r} was drawn on, or is on a Label Studio, with another picture ({old.width} x "
                    f"{old.height} pixels; the new one has {task.width} x {task.height}); rename the new image"
                )
            changed.append(task.task)
        return changed

    def _is_shown_by(self, old: AnnotationTask, picture: Path, new: AnnotationTask) -> bool:
        """Tell whether a picture has the pixels of the existing one; if that is lost, compare the sizes only."""
        if (old.height, old.width) != (new.height, new.width):
            return False
        there = self.picture(old.task)
        return not there.is_file() or same_pixels(there, picture)

    def versions(self) -> list[Drawing]:
        """Read every version of every drawing."""
        path = self.root / DRAWINGS
        return list(read_rows(path, Drawing.of_row, appended=True))

    def _versions_of(self, tasks: set[str]) -> list[Drawing]:
        """Read every version of the drawings of some tasks, and of others if there are many tasks."""
        path = self.root / DRAWINGS
        if not path.is_file() or not tasks:
            return []
        names = [json.dumps(task, ensure_ascii=False) for task in tasks] if len(tasks) <= _FEW else None
        return list(read_rows(path, Drawing.of_row, names, appended=True))

    def drawings(self) -> dict[str, list[Drawing]]:
        """Read the newest drawing of every annotator that was not withdrawn, by task.

        A user ID and the e-mail address that a server states for it are one person, and so are addresses that differ
        in case only. The files are read again only when they have changed.
        """
        files = (self.root / DRAWINGS, self.root / SERVER)
        stamp = [file_stamp(path, self.root) for path in files if path.is_file()]
        if self._drawn is None or self._drawn[0] != stamp:
            self._drawn = stamp, self._newest()
        return {task: list(several) for task, several in self._drawn[1].items()}

    def _newest(self) -> dict[str, list[Drawing]]:
        people = people_of(self.servers().values())
        current: dict[tuple[str, str, str], Drawing] = {}
        for drawing in self.versions():
            if drawing.annotator in people:
                drawing = replace(drawing, annotator=people[drawing.annotator])
            key = _identity(drawing)
            if key not in current or _recency(drawing) >= _recency(current[key]):
                current[key] = drawing
        newest: dict[tuple[str, str], Drawing] = {}
        for drawing in current.values():
            name = drawing.annotator
            person = drawing.task, name.lower() if "@" in name else name
            if not drawing.withdrawn and (person not in newest or _recency(drawing) >= _recency(newest[person])):
                newest[person] = drawing
        by_task: dict[str, list[Drawing]] = defaultdict(list)
        for (task, _), drawing in sorted(newest.items()):
            by_task[task].append(drawing)
        return dict(by_task)

    def add_drawings(self, drawings: Iterable[Drawing]) -> Counter[str]:
        """Append drawings, or new versions of those with the same key; count `new`, `changed` and `same` ones.

        Raises:
            DrawingError: drawings do not fit their image or have none; nothing is added.
        """
        coming = list(drawings)
        faults = [fault for drawing in coming if (fault := fault_of(drawing, self.tasks))]
        if faults:
            raise DrawingError(str(self.root), faults)
        newest = {_identity(drawing): drawing for drawing in self._versions_of({drawing.task for drawing in coming})}
        counts: Counter[str] = Counter()
        added = []
        for drawing in coming:
            key = _identity(drawing)
            old = newest.get(key)
            if old is not None and (old.says, old.annotator) == (drawing.says, drawing.annotator):
                counts["same"] += 1
                continue
            counts["new" if old is None else "changed"] += 1
            newest[key] = replace(drawing, version=1 if old is None else old.version + 1)
            added.append(newest[key])
        if added:
            append_lines(self.root / DRAWINGS, [row_line(asdict(drawing)) for drawing in added])
        return counts

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """Yield a folder for unfinished files in the workspace; use it while holding the lock.

        What killed commands left there is removed first.
        """
        self._remove_leftovers()
        with tempfile.TemporaryDirectory(prefix=".import-", dir=self.root) as folder:
            yield folder

    def _remove_leftovers(self) -> None:
        for pattern in (".import-*", *(f".{name}.*" for name in (TASKS, DRAWINGS, PRELABELS, CONSENSUS, SERVER))):
            for path in self.root.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)

    def prelabels(self) -> dict[str, Drawing]:
        """Read the pre-annotations by task."""
        return {task: guesses[-1] for task, guesses in self.guesses().items()}

    def guesses(self) -> dict[str, list[Drawing]]:
        """Read the newest pre-annotation of every tool by task; the last one of a task is shown to people."""
        path = self.root / PRELABELS
        by_task: dict[str, dict[str, Drawing]] = defaultdict(dict)
        for drawing in read_rows(path, Drawing.of_row):
            by_task[drawing.task].pop(drawing.tool, None)
            by_task[drawing.task][drawing.tool] = drawing
        return {task: list(tools.values()) for task, tools in by_task.items()}

    def write_prelabels(self, drawings: dict[str, Drawing]) -> None:
        """Write the pre-annotations to show, replacing those of the same tools and of tasks that are not listed."""
        before = self.guesses()
        rows = [
            guess
            for task, drawing in drawings.items()
            for guess in (*(old for old in before.get(task, []) if old.tool != drawing.tool), drawing)
        ]
        write_rows(self.root / PRELABELS, [asdict(drawing) for drawing in rows])

    def drop_prelabels(self, tasks: Iterable[str]) -> int:
        """Delete the pre-annotations of tasks whose picture was replaced; return how many there were."""
        before = self.prelabels()
        gone = set(tasks) & set(before)
        if gone:
            self.write_prelabels({name: drawing for name, drawing in before.items() if name not in gone})
        return len(gone)

    def consensus(self) -> dict[str, Consensus]:
        """Read the result of `adjudicate` by task; empty if it has not been run."""
        path = self.root / CONSENSUS
        if not path.is_file():
            return {}
        rows = read_rows(path, lambda row: Consensus(**{**row, "drawing": Drawing.of_row(row["drawing"])}))
        return {entry.drawing.task: entry for entry in rows}

    def write_consensus(self, entries: Iterable[Consensus]) -> None:
        """Write the result of `adjudicate`, replacing the earlier one."""
        write_rows(self.root / CONSENSUS, [asdict(entry) for entry in entries])

    def servers(self) -> dict[str, Server]:
        """Read the projects on Label Studio by server name, the last one used last; empty before `masks start`.

        Raises:
            DataFormatError: the file is invalid.
        """
        return read_servers(self.root / SERVER)

    def write_server(self, server: Server) -> None:
        """Write the projects on a server, as the last one used."""
        write_server(self.root / SERVER, server)

    def update_server(self, server: Server) -> None:
        """Write what is new about a known server, without changing which one was used last."""
        update_server(self.root / SERVER, server)


def _recency(drawing: Drawing) -> tuple[datetime, int]:
    return drawing.saved, drawing.version


def _identity(drawing: Drawing) -> tuple[str, str, str]:
    """Return what versions of one drawing share. An annotation of Label Studio stays one if another person edits it."""
    return drawing.task, "" if drawing.key.startswith(ANNOTATION) else drawing.annotator, drawing.key
