"""Import pictures, samples and masks into a workspace."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from earthreason.data.configs import CONFIGS
from earthreason.data.exports import file_stem, suffix_of
from earthreason.data.pictures import mask_of
from earthreason.data.reader import open_source, read_all
from earthreason.data.schema import Record
from earthreason.data.sources.release import locate_release
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.files import visible_files
from earthreason.masks.rle import encode_mask
from earthreason.types import OPTIONAL_FACTS

from .drawing import Drawing, draw
from .errors import DrawingError
from .formats import vectors
from .formats.assembly import Reading
from .formats.base import AS_STATED, ReadOptions
from .formats.registry import read_masks
from .gold import write_gold
from .images import SUFFIXES, UNREAD_SUFFIXES, read_picture
from .workspace import AnnotationTask, Workspace, fault_of, is_workspace

_OF_ANNOTATIONS = (".json", ".xml", ".csv", ".zip", *vectors.SUFFIXES)
_OF_MASKS = re.compile(r"(.+[_-])?masks?|labels?|SegmentationClass|SegmentationObject", re.IGNORECASE)
"""Name of a folder whose pictures are masks, if there are other pictures beside it."""
_TOGETHER = (
    ("questions", "answers", "reasoning_type", "unseen"),
    ("category",),
    ("source",),
    ("target",),
    ("separate",),
    ("origin",),
)
_OF_THE_SIZE = (("ground_resolution",), ("transform", "crs"))
"""Groups of facts, each known if its first fact is. The later ones depend on the size of the image."""
Progress = Callable[[int], object]
Arrival = tuple[AnnotationTask, bytes, Drawing | None]
"""A task, its picture, and the drawing that comes with it, None without one."""


@dataclass(frozen=True)
class ImportOptions:
    """Options for importing pictures and masks.

    Attributes:
        split: split of pictures that state none; None keeps that of known pictures and puts new ones into `test`.
        ground_resolution: metres per pixel of pictures that state none; None leaves it unknown.
        bands: bands for red, green and blue of a TIFF, from 1.
        annotator: name of the person who drew the masks; None makes them pre-annotations.
        read: options for reading annotation files.
        gold: whether the masks are gold masks, with which the work of annotators is checked.
    """

    split: str | None = None
    ground_resolution: float | None = None
    bands: tuple[int, int, int] | None = None
    annotator: str | None = None
    read: ReadOptions = AS_STATED
    gold: bool = False


PLAIN = ImportOptions()


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        images: number of new tasks.
        masks: number of masks.
        dropped: number of pre-annotations dropped because their picture was replaced.
        skipped: number of things in the file that were left out, by kind.
        strangers: names of images in the file that the workspace does not have.
    """

    images: int
    masks: int
    dropped: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    strangers: list[str] = field(default_factory=list)


def import_all(
    root: Path,
    source: str | None,
    masks: Sequence[Path],
    options: ImportOptions = PLAIN,
    progress: Progress = lambda _: None,
) -> list[Imported]:
    """Import pictures and masks into a workspace. If anything has a fault, nothing is imported.

    Args:
        root: folder of the workspace; created if `source` is given.
        source: picture, folder of pictures, release, export or configuration; None imports masks only.
        masks: annotation files, or folders of them.
        options: import options.
        progress: called with 1 for each image.

    Returns:
        The numbers for the source, if there is one, and for each entry of `masks`.

    Raises:
        EarthReasonError: something cannot be imported; the message names file and shape.
    """
    workspace = Workspace(root) if source is not None else Workspace.open(root)
    with workspace.changing(), workspace.scratch() as scratch:
        old = workspace.tasks if is_workspace(root) else {}
        arrivals = [] if source is None else _arrivals(source, options, old)
        coming, batches = _receive(arrivals, Path(scratch), old, options, progress)
        if source is not None and not coming:
            raise DataNotFoundError(f"{source}: has no pictures; annotations of pictures are given with --masks")
        tasks, readings = old | coming, list[Reading]()
        for path in masks:
            readings.append(_masks_of(path, tasks, options))
            drawn = {drawing.task for several in (*batches, *(r.drawings for r in readings)) for drawing in several}
            tasks = _with_targets(tasks, readings[-1].tasks, workspace, drawn)
            tasks |= {
                drawing.task: replace(tasks[drawing.task], separate=True)
                for drawing in readings[-1].drawings
                if drawing.targets is not None
            }
        replaced = workspace.replaced(coming.values(), Path(scratch))
        # All checks are done; the workspace changes only from here on.
        _move_in(workspace, coming, Path(scratch))
        if tasks != old | coming:
            workspace.replace_tasks(tasks.values())
        dropped = workspace.drop_prelabels(replaced)
        for drawings in (*batches, *(reading.drawings for reading in readings)):
            _keep(workspace, drawings, options.gold)
    of_masks = [
        Imported(len(reading.tasks), len(reading.drawings), 0, reading.skipped, reading.strangers)
        for reading in readings
    ]
    if source is None:
        return of_masks
    return [Imported(len(old | coming) - len(old), sum(map(len, batches)), dropped), *of_masks]


def _with_targets(
    tasks: Mapping[str, AnnotationTask],
    new: Mapping[str, AnnotationTask],
    workspace: Workspace,
    coming: set[str],
) -> dict[str, AnnotationTask]:
    """Add tasks for targets; they take the place of a task of their image that says nothing and is not drawn."""
    images = {task.image for task in new.values()}
    drawn = coming | set(workspace.drawings()) | set(workspace.prelabels()) if new else set()
    on_server = bool(workspace.servers()) if new else False

    def says_nothing(task: AnnotationTask) -> bool:
        stated = task.category or task.target or task.questions
        return task.image in images and not stated and task.task not in drawn and not on_server

    return {name: task for name, task in tasks.items() if not says_nothing(task)} | dict(new)


def _receive(
    arrivals: Iterable[Arrival],
    scratch: Path,
    old: Mapping[str, AnnotationTask],
    options: ImportOptions,
    progress: Progress,
) -> tuple[dict[str, AnnotationTask], list[list[Drawing]]]:
    """Write the pictures into `scratch`; return their tasks, and their masks as one batch if there are any pictures."""
    tasks: dict[str, AnnotationTask] = {}
    drawings: list[Drawing] = []
    of_samples: dict[bytes, str] = {}  # samples about one image hold the same bytes, and share its picture
    targets = _targets_of_images(old.values())
    for arrived, content, label in arrivals:
        task = replace(arrived, separate=arrived.separate or options.read.instances)
        if label is not None:
            task = replace(task, picture=of_samples.setdefault(sha256(content).digest(), task.picture))
        if task.task in tasks:
            raise DataFormatError(f"two pictures are named {task.task!r}; IDs are file stems, so rename one of them")
        (scratch / task.picture).write_bytes(content)
        if task.task in old or task.image not in targets:
            tasks[task.task] = _with_facts_of(task, old[task.task]) if task.task in old else task
        else:  # the picture of an image whose tasks were made for its targets
            same = {name: _with_facts_of(replace(task, task=name), old[name]) for name in targets[task.image]}
            tasks |= same
        if label is not None:
            drawings.append(replace(label, annotator=options.annotator or "", created=_now()))
        progress(1)
    _refuse_faults(drawings, tasks, "the source")
    return tasks, [drawings] if tasks else []


def _with_facts_of(new: AnnotationTask, old: AnnotationTask) -> AnnotationTask:
    """Return the new task with facts of the old one where it has none."""
    same_size = (new.height, new.width) == (old.height, old.width)
    groups = _TOGETHER + (_OF_THE_SIZE if same_size else ())
    kept = [name for group in groups if not getattr(new, group[0]) for name in group]
    return replace(new, **{name: getattr(old, name) for name in kept})


def _targets_of_images(tasks: Iterable[AnnotationTask]) -> dict[str, list[str]]:
    """List the tasks of each image that are named otherwise than the image."""
    targets: dict[str, list[str]] = defaultdict(list)
    for task in tasks:
        if task.task != task.image:
            targets[task.image].append(task.task)
    return targets


def _move_in(workspace: Workspace, tasks: Mapping[str, AnnotationTask], scratch: Path) -> None:
    if not tasks:
        return
    images = workspace.root / "images"
    images.mkdir(exist_ok=True)
    before = {task.picture for task in workspace.tasks.values()} if is_workspace(workspace.root) else set()
    for picture in {task.picture for task in tasks.values()}:
        (scratch / picture).replace(images / picture)
    workspace.add_tasks(tasks.values())
    for picture in before - {task.picture for task in workspace.tasks.values()}:
        (images / picture).unlink(missing_ok=True)


def _masks_of(path: Path, tasks: Mapping[str, AnnotationTask], options: ImportOptions) -> Reading:
    reading = read_masks(path, tasks, options.read)
    drawings = [
        replace(
            drawing,
            annotator=options.annotator or drawing.annotator,
            created=drawing.created or _now(),
            tool=drawing.tool or path.name,
            key=drawing.key or path.name,
        )
        for drawing in reading.drawings
    ]
    if not drawings:
        names = f" (the file lists {', '.join(reading.strangers[:3])})" if reading.strangers else ""
        counts = ", ".join(f"{count} {kind}" for kind, count in reading.skipped.items())
        names += f" (left out: {counts})" if counts else ""
        raise DataNotFoundError(
            f"{path}: no mask for any image of the workspace{names}; names must match, and an image without shapes "
            "counts as 'no target' only if the file says so, or with --unmarked-is-empty"
        )
    _refuse_faults(drawings, {**tasks, **reading.tasks}, str(path))
    return replace(reading, drawings=drawings)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _refuse_faults(drawings: list[Drawing], tasks: Mapping[str, AnnotationTask], place: str) -> None:
    twice = Counter((drawing.task, drawing.annotator, drawing.key) for drawing in drawings)
    faults = [f"{image}: drawn {count} times" for (image, _, _), count in twice.items() if count > 1]
    faults += [fault for drawing in drawings if (fault := fault_of(drawing, tasks))]
    if faults:
        raise DrawingError(place, faults)


def _keep(workspace: Workspace, drawings: list[Drawing], as_gold: bool) -> None:
    """Store gold masks as such, drawings with annotators as drawings, and others as pre-annotations."""
    if as_gold:
        write_gold(workspace, drawings)
        return
    if any(drawing.annotator for drawing in drawings):
        workspace.add_drawings(drawings)
    elif drawings:
        workspace.write_prelabels(workspace.prelabels() | {drawing.task: drawing for drawing in drawings})


def _arrivals(source: str, options: ImportOptions, there: Mapping[str, AnnotationTask]) -> Iterator[Arrival]:
    path = Path(source).expanduser()
    if not path.exists() and source not in CONFIGS:
        raise DataNotFoundError(f"there is no {source}; give a picture, a folder, or a configuration")
    if path.exists() and not _holds_samples(path):
        for file in [path] if path.is_file() else _pictures(path):
            origin = file.name if path.is_file() else file.relative_to(path).as_posix()
            yield _of_picture(file, options, there, origin)
        return
    try:
        for split, record in read_all(open_source(source)):
            yield _of_record(split, record)
    except EarthReasonError as error:
        if not path.is_file() or path.suffix.lower() not in _OF_ANNOTATIONS:
            raise
        raise DataFormatError(
            f"{error}. If {path.name} is about pictures, give them as SRC, and it with --masks"
        ) from None


def _pictures(folder: Path) -> list[Path]:
    files = visible_files(folder, "**/*")
    unread = [path for path in files if path.suffix.lower() in UNREAD_SUFFIXES]
    if unread:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        raise DataFormatError(
            f"{unread[0]}{more}: {unread[0].suffix.lower()[1:].upper()} pictures are not read; save them as PNG or "
            "GeoTIFF, or move them out of the folder"
        )
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
    of_masks = [
        path for path in pictures if any(_OF_MASKS.fullmatch(part) for part in path.relative_to(folder).parent.parts)
    ]
    if of_masks and len(of_masks) < len(pictures):
        rest = next(path for path in pictures if path not in of_masks)
        raise DataFormatError(
            f"{of_masks[0].parent}: seems to hold masks, not pictures to draw on; import {rest.parent}, and the "
            "masks with --masks, or rename the folder"
        )
    return pictures


def _holds_samples(path: Path) -> bool:
    """Tell whether a path is a release or an export of `earthreason export`, rather than plain pictures."""
    if path.is_file():
        return path.suffix.lower() not in SUFFIXES + UNREAD_SUFFIXES
    if (path / "annotations").is_dir() and (path / "images").is_dir():
        return True
    if visible_files(path, "*.tar") or visible_files(path, "**/*.parquet"):
        return True
    return locate_release(path) is not None


def _of_picture(path: Path, options: ImportOptions, there: Mapping[str, AnnotationTask], origin: str) -> Arrival:
    picture = read_picture(path, options.bands)
    name = file_stem(path.stem)
    split = options.split or (there[name].split if name in there else "test")
    task = AnnotationTask(
        name,
        name + picture.suffix,
        picture.height,
        picture.width,
        split,
        picture.ground_resolution or options.ground_resolution,
        transform=picture.transform,
        crs=picture.crs,
        origin=origin,
    )
    return task, picture.content, None


def _of_record(split: str, record: Record) -> Arrival:
    name = file_stem(record.sample_id)
    questions = [text for text in record.questions if text.strip()]
    task = AnnotationTask(
        name,
        f"{name}.{suffix_of(record)}",
        record.height,
        record.width,
        split,
        questions=questions,
        answers=record.answers,
        **{fact: getattr(record, fact) for fact in OPTIONAL_FACTS},
    )
    label = draw(name, mask_of(record.mask, Path(name)), task.category, tool="import", key="import")
    if record.targets is not None:
        targets = [encode_mask(mask_of(target, Path(name))) for target in record.targets]
        label = replace(label, targets=targets)
    return replace(task, separate=record.targets is not None), record.image, label
