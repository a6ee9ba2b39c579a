"""Read folders of pictures whose pixels are classes: Pascal VOC segmentation, and masks exported by Roboflow.

In Pascal VOC, the colour of a pixel tells its class (`labelmap.txt`, or else the classes and palette of VOC 2012); in
Roboflow's masks, its value does (`_classes.csv`).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from earthreason.data.pictures import open_picture
from earthreason.errors import DataFormatError

from .base import AnnotatedImage, Mark, Patch
from .runs import bounding_box
from .source import Format, Source

CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
LABELMAP, ROBOFLOW = "labelmap.txt", "_classes.csv"
BACKGROUND = "background"
_VOC_CLASSES = (
    *(BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_VOID = 255
"""Index of pixels that VOC leaves open."""
Key = int | tuple[int, int, int]
"""Value of a pixel: an index, or red, green and blue."""


def voc_colour(index: int) -> tuple[int, int, int]:
    """Return the colour of an index in the palette of Pascal VOC: the bits of the index, spread over the channels."""
    colour = [0, 0, 0]
    for bit in range(8):
        colour[bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return colour[0], colour[1], colour[2]


def _voc_files(source: Source) -> list[Path]:
    return [path for path in source.files(".png") if path.parent.name == CLASSES]


def _voc_parts(source: Source) -> Collection[Path]:
    return [
        path
        for path in source.tree
        if path.name == LABELMAP or path.parent.name in (CLASSES, OBJECTS) or "ImageSets" in path.parts
    ]


def _read_voc(source: Source) -> Iterator[AnnotatedImage]:
    maps = {path.parent: _labelmap(source.within(path)) for path in source.tree if path.name == LABELMAP}
    for path in _voc_files(source):
        inner = source.within(path)
        names = next((maps[folder] for folder in path.parents if folder in maps), None)
        objects = path.parent.parent / OBJECTS / path.name
        known: dict[Key, str] = names or {voc_colour(index): name for index, name in enumerate(_VOC_CLASSES)}
        void = () if voc_colour(_VOID) in known else (voc_colour(_VOID),)
        twin = path.relative_to(source.path).parent.parent / "JPEGImages" / path.name
        yield _image(inner, twin.as_posix(), known, void, objects if objects.is_file() else None)


VOC = Format(
    "Pascal VOC segmentation (folder)", lambda s: s.path.is_dir() and bool(_voc_files(s)), _read_voc, _voc_parts
)


def _labelmap(source: Source) -> dict[Key, str]:
    """Read lines `label:red,green,blue:parts:actions`.

    Raises:
        DataFormatError: a line has another form.
    """
    found: dict[Key, str] = {}
    for number, line in enumerate(source.text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, _, rest = line.partition(":")
        try:
            red, green, blue = (int(value) for value in rest.split(":")[0].split(","))
        except ValueError:
            raise DataFormatError(
                f"{source.shown}, line {number}: {line[:60]!r} is not of the form 'label:red,green,blue:parts:actions'"
            ) from None
        if (red, green, blue) in found:
            raise DataFormatError(f"{source.shown}, line {number}: the colour {red},{green},{blue} has two labels")
        found[(red, green, blue)] = name.strip()
    if not found:
        raise DataFormatError(f"{source.shown}: lists no label")
    return found


def _roboflow_files(source: Source) -> list[Path]:
    folders = {path.parent for path in source.tree if path.name == ROBOFLOW}
    return [path for path in source.files(".png") if path.stem.endswith("_mask") and path.parent in folders]


def _roboflow_parts(source: Source) -> Collection[Path]:
    return [*_roboflow_files(source), *(path for path in source.tree if path.name == ROBOFLOW)]


def _read_roboflow(source: Source) -> Iterator[AnnotatedImage]:
    lists = {path.parent: _roboflow_classes(source.within(path)) for path in source.tree if path.name == ROBOFLOW}
    for path in _roboflow_files(source):
        name = path.relative_to(source.path).with_name(path.stem.removesuffix("_mask") + ".jpg").as_posix()
        yield _image(source.within(path), name, lists[path.parent], (), None)


ROBOFLOW_MASKS = Format(
    "masks of Roboflow (folder)",
    lambda s: s.path.is_dir() and bool(_roboflow_files(s)),
    _read_roboflow,
    _roboflow_parts,
)


def _roboflow_classes(source: Source) -> dict[Key, str]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(source.text)) if any(row)]
    try:
        return {int(value): name for value, name in rows[1:]}
    except ValueError:
        raise DataFormatError(f"{source.shown}: a line is not of the form 'value, class'") from None


def _image(
    source: Source, name: str, known: Mapping[Key, str], void: tuple[Key, ...], objects: Path | None
) -> AnnotatedImage:
    """Read one picture of classes; `objects` is the picture that tells its objects apart."""
    keys, indices = _pixels(source.path, source.shown, isinstance(next(iter(known), 0), tuple))
    present = [keys[number] for number in np.unique(indices)]
    skipped = Counter[str]()
    if any(key in void for key in present):
        skipped["images with void pixels, which are no target"] += 1
    marks: list[Mark] = []
    for key in present:
        if key in void:
            continue
        label = known.get(key) or (BACKGROUND if key in (0, (0, 0, 0)) else None)
        if label is None:
            raise DataFormatError(f"{source.shown}: has pixels of {key}, which no label has ({_listed(known)})")
        if label.casefold() == BACKGROUND:
            continue
        numbers = [None] if objects is None else _objects_of(source, key, objects)
        for number in numbers:
            place = f"{source.shown}, {label!r}" + ("" if number is None else f", object {number}")
            marks.append(Mark(label, partial(_part, source, key, objects, number), place, group=number))
    return AnnotatedImage((name,), tuple(marks), source.shown, (indices.shape[0], indices.shape[1]), skipped=skipped)


def _objects_of(source: Source, key: Key, objects: Path) -> list[int | None]:
    keys, indices = _pixels(source.path, source.shown, isinstance(key, tuple))
    _, numbers = _pixels(objects, str(objects), isinstance(key, tuple))
    if numbers.shape != indices.shape:
        raise DataFormatError(f"{source.shown}: its picture in {OBJECTS} has another size")
    return [int(number) for number in np.unique(numbers[indices == keys.index(key)])]


def _part(source: Source, key: Key, objects: Path | None, number: int | None, height: int, width: int) -> Patch:
    keys, indices = _pixels(source.path, source.shown, isinstance(key, tuple))
    mask = indices == keys.index(key)
    if objects is not None:
        mask &= _pixels(objects, str(objects), isinstance(key, tuple))[1] == number
    left, top, wide, high = bounding_box(mask)
    return Patch(mask[top : top + high, left : left + wide].copy(), top, left)


def _pixels(path: Path, shown: str, colours: bool) -> tuple[tuple[Key, ...], np.ndarray]:
    return _decoded(path, shown, colours, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)  # a picture and its objects, between listing its marks and drawing them
def _decoded(path: Path, shown: str, colours: bool, changed: int) -> tuple[tuple[Key, ...], np.ndarray]:
    """Decode a picture into its distinct values and a (height, width) array of their numbers.

    Args:
        path: file.
        shown: its name in messages.
        colours: whether values are colours, through the palette if the picture has one; otherwise they are indices.
        changed: time of the last change, which tells versions of the file apart.

    Raises:
        DataFormatError: it is no picture, or of another kind.
    """
    try:
        picture = open_picture(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise DataFormatError(f"{shown}: not a readable picture ({error})") from None
    if not colours:
        if picture.mode not in ("L", "P", "1"):
            raise DataFormatError(f"{shown}: its pixels are of mode {picture.mode}, not class numbers from 0 to 255")
        grey = picture.convert("L") if picture.mode == "1" else picture
        values, numbers = np.unique(np.asarray(grey), return_inverse=True)
        return tuple(int(value) for value in values), numbers.reshape(picture.height, picture.width)
    if picture.mode == "L":  # indices without a palette, which is VOC's then
        values, numbers = np.unique(np.asarray(picture), return_inverse=True)
        return tuple(voc_colour(int(value)) for value in values), numbers.reshape(picture.height, picture.width)
    rgb = np.asarray(picture.convert("RGB"), np.uint32)
    packed, numbers = np.unique(rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2], return_inverse=True)
    colour_of = tuple((int(value) >> 16, int(value) >> 8 & 255, int(value) & 255) for value in packed)
    return colour_of, numbers.reshape(picture.height, picture.width)


def _listed(known: Mapping[Key, str]) -> str:
    shown = [f"{name} {key}" for key, name in list(known.items())[:4]]
    return ", ".join(shown) + (", ..." if len(known) > 4 else "")
