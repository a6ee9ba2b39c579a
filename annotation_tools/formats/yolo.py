"""Read folders of YOLO labels: in `labels/*.txt`, a line is a class and the corners of a polygon, as shares of a side.

Polygons are filled as Ultralytics does (`polygon2mask`): coordinates in pixels are cut to whole numbers, and OpenCV
fills them, outline included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.masks.drawing import FARTHEST

from .base import AnnotatedImage, Mark, Patch
from .companions import PICTURE_SUFFIXES, is_companion
from .fills import fill_as_opencv
from .polygons import checked_polygon
from .source import Format, Source

_NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels")
_BOX = 5
"""Numbers in the line of a box: class, centre, width and height."""


def _claims(source: Source) -> bool:
    if source.suffix in (".yaml", ".yml"):
        return "names" in _settings(source)
    return source.path.is_dir() and bool(_label_files(source))


def _label_files(source: Source) -> list[Path]:
    """List the label files: those below a folder `labels`, or those beside a list of class names."""
    texts = [path for path in source.files(".txt") if path.name not in _NAME_LISTS]
    below = [path for path in texts if "labels" in (source.path.name, *path.relative_to(source.path).parts[:-1])]
    if below:
        return below
    lists = {path.parent for path in source.tree if path.name in _NAME_LISTS}
    return [path for path in texts if not is_companion(path) and not lists.isdisjoint(path.parents)]


def _parts(source: Source) -> Collection[Path]:
    settings = [path for path in source.tree if path.name in _NAME_LISTS or path.suffix.lower() in (".yaml", ".yml")]
    return {*_label_files(source), *settings}


def _read(source: Source) -> Iterator[AnnotatedImage]:
    if not source.path.is_dir():
        folder = Source(source.path.parent, str(Path(source.shown).parent), source.options, source.tasks)
        if not _label_files(folder):
            raise DataFormatError(f"{source.shown}: there are no label files in a folder 'labels' beside it")
        yield from _read(folder)
        return
    names, poses = _classes(source)
    pictures = {
        path.relative_to(source.path).with_suffix("").as_posix(): path
        for path in source.tree
        if path.suffix.lower() in PICTURE_SUFFIXES
    }
    for path in _label_files(source):
        below = path.relative_to(source.path)
        # The last folder `labels` has the twin `images`, as in Ultralytics.
        parts = list(below.parts[:-1])
        if "labels" in parts:
            parts[len(parts) - 1 - parts[::-1].index("labels")] = "images"
        twin = PurePosixPath(*parts, below.stem)
        picture = pictures.get(twin.as_posix()) or pictures.get(below.with_suffix("").as_posix())
        name = (picture.relative_to(source.path) if picture else below).as_posix()
        yield _image(source.within(path), name, names, poses)


FORMAT = Format("YOLO labels (folder)", _claims, _read, _parts)


def _image(source: Source, name: str, names: dict[int, str], poses: bool) -> AnnotatedImage:
    marks, skipped = [], Counter[str]()
    for number, line in enumerate(source.text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        place = f"{source.shown}, line {number}"
        try:
            values = [float(word) for word in words]
        except ValueError:
            raise DataFormatError(f"{place}: {line[:40]!r} is not a class and coordinates") from None
        if poses or len(values) in (_BOX, _BOX + 1):
            skipped["poses" if poses else "boxes without a mask"] += 1
            continue
        if len(values) < 7 or len(values) % 2 == 0:
            raise DataFormatError(
                f"{place}: has {len(values)} numbers; a polygon has a class and at least three pairs x y (save "
                "predictions without their confidence)"
            )
        label = _label(values[0], names, place)
        marks.append(Mark(label, partial(_draw, words[1:], place, source.options.repair), place))
    return AnnotatedImage((name,), tuple(marks), source.shown, skipped=skipped)


def _draw(words: list[str], place: str, repair: bool, height: int, width: int) -> Patch:
    # float32: Ultralytics' type, which decides on which side of a whole pixel a coordinate falls.
    with np.errstate(over="ignore"):  # infinity is refused below
        pixels = np.asarray(words, np.float32).reshape(-1, 2) * np.asarray([width, height], np.float32)
    checked_polygon(pixels.tolist(), height, width, place, repair)
    if np.abs(pixels).max() > FARTHEST:
        raise DataFormatError(f"{place}: a coordinate is far outside the image; coordinates must be from 0 to 1")
    return Patch(fill_as_opencv(pixels.astype(np.int32), height, width))


def _label(value: float, names: dict[int, str], place: str) -> str:
    if not value.is_integer():
        raise DataFormatError(f"{place}: the class {value:g} is not a whole number")
    if not names:
        return str(int(value))
    if int(value) not in names:
        raise DataFormatError(f"{place}: the class {int(value)} is not in the list of names (0 to {max(names)})")
    return names[int(value)]


def _classes(source: Source) -> tuple[dict[int, str], bool]:
    """Return the names of the classes by number, and whether the labels are poses.

    Raises:
        DataFormatError: two files list different names.
    """
    found: dict[str, dict[int, str]] = {}
    poses = False
    for path in source.tree:
        inner = source.within(path)
        if path.suffix.lower() in (".yaml", ".yml"):
            settings = _settings(inner)
            if "names" in settings:
                found[inner.shown] = _names(settings["names"], inner.shown)
                poses = poses or "kpt_shape" in settings
        elif path.name in _NAME_LISTS:
            found[inner.shown] = dict(enumerate(line.strip() for line in inner.text.splitlines() if line.strip()))
    distinct = {tuple(sorted(names.items())) for names in found.values()}
    if len(distinct) > 1:
        raise DataFormatError(f"{' and '.join(list(found)[:2])} list different classes; import the folders one by one")
    return next(iter(found.values()), {}), poses


def _settings(source: Source) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(source.text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataFormatError(f"{source.shown}: not YAML ({' '.join(str(error).split())[:200]})") from None
    return document if isinstance(document, dict) else {}


def _names(value: object, place: str) -> dict[int, str]:
    if isinstance(value, list):
        return dict(enumerate(map(str, value)))
    if isinstance(value, dict) and all(str(key).isdecimal() for key in value):
        return {int(str(key)): str(name) for key, name in value.items()}
    raise DataFormatError(f"{place}: 'names' must be a list of classes, or number: name")
