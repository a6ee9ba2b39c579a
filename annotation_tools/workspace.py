"""The folder an annotation project lives in: pictures, tasks, everything anybody drew, and what was agreed on.

    images/ID.png|jpg     tasks.jsonl     drawings.jsonl     prelabels.jsonl     consensus.jsonl     server.json

Every file is written whole and renamed into place. `drawings.jsonl` keeps all versions of every drawing.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from annotation_tools.drawing import Drawing
from annotation_tools.errors import DrawingError
from annotation_tools.images import same_pixels
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.files import write_json, write_text

TASKS, DRAWINGS, PRELABELS, CONSENSUS = "tasks.jsonl", "drawings.jsonl", "prelabels.jsonl", "consensus.jsonl"
SERVER = "server.json"
_WAIT = 60.0
"""Seconds to wait for another command that changes the workspace."""


@dataclass(frozen=True)
class AnnotationTask:
    """One image to be annotated.

    Attributes:
        task: id, also the stem of the picture's file and the later sample id.
        picture: file name below `images/`.
        height: of the picture, pixels.
        width: of the picture, pixels.
        split: of the release it will be in.
        ground_resolution: metres per pixel, None where unknown.
        category: expected; what annotators say counts.
        source: where the image comes from.
        questions: that the mask will have to answer; may come later.
        answers: to them.
        reasoning_type: of the questions.
        transform: a, b, c, d, e, f of the pixel-to-world map, None without georeference.
        crs: of the world coordinates.
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
    transform: list[float] | None = None
    crs: str | None = None


@dataclass(frozen=True)
class Consensus:
    """What several drawings of one image come to.

    Attributes:
        drawing: the mask that stands, by `method`.
        method: single, majority, staple or adjudicator.
        settled: it may be exported; else a third person must look.
        reason: why it is not settled.
        iou: lowest IoU between two of the drawings, None for a single one.
        behind: annotator, time, seconds, tool and version of every drawing it was made from.
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
        """Whether it was made from these very drawings."""
        return self.sources == fingerprints(drawings)


def fingerprints(drawings: Iterable[Drawing]) -> list[str]:
    """Those of all drawings, sorted."""
    return sorted(drawing.fingerprint for drawing in drawings)


@dataclass(frozen=True)
class Server:
    """Our projects on one Label Studio.

    Attributes:
        name: `local`, or the address of a team's own.
        url: where it answered last.
        projects: ids by what they show: `all` tasks, or the `queue` of a third person.
    """

    name: str
    url: str
    projects: dict[str, int]


_TOGETHER = (("questions", "answers", "reasoning_type"), ("category",), ("source",))
_OF_THE_SIZE = (("ground_resolution",), ("transform", "crs"))
"""Facts that belong together, by the one that says whether they are known; the latter hold for one size only."""


def with_facts_of(new: AnnotationTask, old: AnnotationTask) -> AnnotationTask:
    """The new task with what it does not know and the old one did."""
    same_size = (new.height, new.width) == (old.height, old.width)
    groups = _TOGETHER + (_OF_THE_SIZE if same_size else ())
    kept = [name for group in groups if not getattr(new, group[0]) for name in group]
    return replace(new, **{name: getattr(old, name) for name in kept})


def fault_of(drawing: Drawing, tasks: Mapping[str, AnnotationTask]) -> str:
    """Why a drawing cannot belong to its task; empty if it can."""
    task = tasks.get(drawing.image)
    if task is None:
        return f"{drawing.image}: the workspace has no image of this name"
    if (drawing.height, drawing.width) != (task.height, task.width):
        return (
            f"{drawing.image}: drawn on {drawing.width} x {drawing.height} pixels, the image is {task.width} x "
            f"{task.height}; it was resized. Draw it on the original, or import the image it was drawn on"
        )
    return ""


def is_workspace(path: Path) -> bool:
    """Whether a folder is one of `masks import`."""
    return (path / TASKS).is_file()


class Workspace:
    """An annotation project on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._tasks: dict[str, AnnotationTask] | None = None

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """An existing workspace.

        Raises:
            DataNotFoundError: there is none.
        """
        if not is_workspace(root):
            raise DataNotFoundError(f"{root} is no annotation workspace: it has no {TASKS} (made by `masks import`)")
        return cls(root)

    @property
    def tasks(self) -> dict[str, AnnotationTask]:
        """By id, in the order they came in."""
        if self._tasks is None:
            self._tasks = {task.task: task for task in _read(self.root / TASKS, lambda row: AnnotationTask(**row))}
        return self._tasks

    def picture(self, task: str) -> Path:
        """The file of a task's picture."""
        return self.root / "images" / self.tasks[task].picture

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other processes from changing the workspace at the same time.

        Raises:
            EarthReasonError: another process has been changing it for a minute.
        """
        from filelock import FileLock, Timeout

        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=_WAIT):
                yield
        except Timeout:
            raise EarthReasonError(f"{self.root} is being changed by another command; wait for it") from None

    def add_tasks(self, tasks: Iterable[AnnotationTask]) -> int:
        """Add tasks whose pictures are in `images/`, replacing those of the same id; returns how many are new."""
        before = dict(self.tasks) if is_workspace(self.root) else {}
        merged = before | {task.task: task for task in tasks}
        _write(self.root / TASKS, [asdict(task) for task in merged.values()])
        self._tasks = merged
        return len(merged) - len(before)

    def replaced(self, tasks: Iterable[AnnotationTask], folder: Path) -> list[str]:
        """Tasks that are there with another picture than the one that comes.

        Args:
            tasks: that come.
            folder: their pictures are in.

        Raises:
            DataFormatError: people have drawn on the one that is there, or see it on a Label Studio; names the task.
        """
        there = self.tasks if is_workspace(self.root) else {}
        seen = {drawing.image for drawing in self.versions()} | set(there if self.servers() else ())
        found = []
        for task in tasks:
            old = there.get(task.task)
            if old is None or self._is_shown_by(old, folder / task.picture, task):
                continue
            if task.task in seen:
                raise DataFormatError(
                    f"task {task.task!r} was drawn on, or is on a Label Studio, with another picture ({old.width} x "
                    f"{old.height} pixels; the new one has {task.width} x {task.height}). Give the new image another "
                    "name"
                )
            found.append(task.task)
        return found

    def _is_shown_by(self, old: AnnotationTask, picture: Path, new: AnnotationTask) -> bool:
        """Whether a picture has the pixels of a task's own; one that was lost is believed to, if the size is right."""
        if (old.height, old.width) != (new.height, new.width):
            return False
        there = self.picture(old.task)
        return not there.is_file() or same_pixels(there, picture)

    def versions(self) -> list[Drawing]:
        """Every version of every drawing."""
        path = self.root / DRAWINGS
        return list(_read(path, lambda row: Drawing(**row))) if path.is_file() else []

    def drawings(self) -> dict[str, list[Drawing]]:
        """By task, the newest drawing of every annotator."""
        newest: dict[tuple[str, str], Drawing] = {}
        for drawing in self.versions():
            key = drawing.image, drawing.annotator
            if key not in newest or _recency(drawing) >= _recency(newest[key]):
                newest[key] = drawing
        found: dict[str, list[Drawing]] = defaultdict(list)
        for (image, _), drawing in sorted(newest.items()):
            found[image].append(drawing)
        return dict(found)

    def add_drawings(self, drawings: Iterable[Drawing]) -> Counter[str]:
        """Add drawings; one that is there with the same key becomes its next version. Counts `new`, `changed`, `same`.

        Raises:
            DrawingError: some do not fit their image or have none; nothing is added then.
        """
        coming = list(drawings)
        faults = [fault for drawing in coming if (fault := fault_of(drawing, self.tasks))]
        if faults:
            raise DrawingError(str(self.root), faults)
        kept = self.versions()
        newest = {(d.image, d.annotator, d.key): d for d in kept}
        counts: Counter[str] = Counter()
        for drawing in coming:
            key = drawing.image, drawing.annotator, drawing.key
            old = newest.get(key)
            if old is not None and (old.segmentation, old.category) == (drawing.segmentation, drawing.category):
                counts["same"] += 1
                continue
            counts["new" if old is None else "changed"] += 1
            newest[key] = replace(drawing, version=1 if old is None else old.version + 1)
            kept.append(newest[key])
        _write(self.root / DRAWINGS, [asdict(drawing) for drawing in kept])
        return counts

    def prelabels(self) -> dict[str, Drawing]:
        """What a model or a helper drew, by task."""
        path = self.root / PRELABELS
        return {d.image: d for d in _read(path, lambda row: Drawing(**row))} if path.is_file() else {}

    def write_prelabels(self, drawings: dict[str, Drawing]) -> None:
        """Keep pre-annotations, replacing those before."""
        _write(self.root / PRELABELS, [asdict(drawing) for drawing in drawings.values()])

    def drop_prelabels(self, tasks: Iterable[str]) -> int:
        """Forget the pre-annotations of tasks whose picture is another one now; returns how many there were."""
        before = self.prelabels()
        gone = set(tasks) & set(before)
        if gone:
            self.write_prelabels({name: drawing for name, drawing in before.items() if name not in gone})
        return len(gone)

    def consensus(self) -> dict[str, Consensus]:
        """What `adjudicate` made, by task; empty before."""
        path = self.root / CONSENSUS
        if not path.is_file():
            return {}
        rows = _read(path, lambda row: Consensus(**{**row, "drawing": Drawing(**row["drawing"])}))
        return {entry.drawing.image: entry for entry in rows}

    def write_consensus(self, entries: Iterable[Consensus]) -> None:
        """Keep what the drawings come to, replacing what stood before."""
        _write(self.root / CONSENSUS, [asdict(entry) for entry in entries])

    def servers(self) -> dict[str, Server]:
        """Our projects on every Label Studio by the server's name, the last used one last; empty before `masks start`.

        Raises:
            DataFormatError: the file is something else.
        """
        path = self.root / SERVER
        if not path.is_file():
            return {}
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            entries = known.get("servers", [known])  # once there was one server, and the file was its entry
            found = [Server(entry["server"], entry["url"], dict(entry["projects"])) for entry in entries]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataFormatError(f"{path}: not written by annotation_tools ({error})") from None
        return {server.name: server for server in found}

    def write_server(self, server: Server) -> None:
        """Keep the projects on a server, as the last used one."""
        others = [other for name, other in self.servers().items() if name != server.name]
        rows = [{"server": one.name, "url": one.url, "projects": one.projects} for one in (*others, server)]
        write_json(self.root / SERVER, {"servers": rows})


def _recency(drawing: Drawing) -> tuple[datetime, int]:
    return drawing.saved, drawing.version


def _read(path: Path, make: Any) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:  # str.splitlines would also split at U+2028 and U+0085 inside a text
        for number, line in enumerate(file, start=1):
            try:
                yield make(json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise DataFormatError(f"{path} line {number}: not written by annotation_tools ({error})") from None


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
