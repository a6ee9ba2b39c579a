"""Read label pictures: pictures named after images, whose values or colours say what their pixels show.

0, black and transparent pixels are background, as are those that a GeoTIFF marks as without data. If all pictures have
one other value between them, they are masks of one target. Of several values none becomes target or background unsaid:
`--category` chooses one, `--new-targets` makes a target of each, and `--instances` takes them as numbers of instances.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from annotation_tools.formats.base import AnnotatedImage, Mark, Patch
from annotation_tools.formats.label_values import LabelValues, colour_of, is_grey, read_label_picture
from annotation_tools.formats.source import Format, Source
from earthreason.errors import DataFormatError

SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
_LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp", ".gif", ".jp2")
_ADDED = re.compile(r"(?P<name>.+?)[_-](?:masks?|labels?|class(?:es)?|gt|seg|segmentation)", re.IGNORECASE)
"""Stem of a label picture that is named after its image and a word for what it is."""
_LISTED = 10
_FEW = 16
_MOST_CATEGORIES = 256
_IGNORE = 255
_BLACK = ("0", "#000000")


def _read(source: Source) -> Iterator[AnnotatedImage]:
    folder = _Folder(source)
    tasks = source.tasks
    for path, values in folder.pictures.items():
        name = path.relative_to(source.path).as_posix() if source.path.is_dir() else path.name
        added = _ADDED.fullmatch(path.stem)
        own = tasks.get(path.stem)
        if source.options.new_targets and own is not None and own.image == own.task:
            own = None  # the name is that of the image, to which targets are added
        yield AnnotatedImage(
            (name, added["name"]) if added else (name,),
            tuple(folder.marks(path)),
            str(path),
            values.size,
            says_empty=not values.counts and not folder.has_several,
            task=None if own is None else own.task,
        )


def _claims(source: Source) -> bool:
    known = SUFFIXES + _LOSSY_SUFFIXES
    return source.suffix in known or (source.path.is_dir() and bool(source.files(*known)))


FORMAT = Format("label pictures (PNG, TIFF, BMP)", _claims, _read)


def _files(source: Source) -> list[Path]:
    if not source.path.is_dir():
        return [source.path]
    files = source.files(*SUFFIXES) or source.files(*_LOSSY_SUFFIXES)[:1]  # of which reading says what is wrong
    by_name: dict[Path, Path] = {}
    for path in files:
        other = by_name.setdefault(path.with_suffix(""), path)
        if other is not path:
            raise DataFormatError(
                f"{path}: {other.name} is named alike; keep one, and pictures in a folder of their own"
            )
    return files


class _Folder:
    """All label pictures that are read together: what a value means can be told only from all of them.

    Raises:
        DataFormatError: there are several values, and nothing says what to do with them.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._options = source.options
        self.pictures = {path: read_label_picture(path)[1] for path in _files(source)}
        self._last: tuple[Path, np.ndarray] | None = None
        of_colours = [values for values in self.pictures.values() if values.is_colour]
        self._is_grey = all(is_grey(colour) for values in of_colours for colour in values.counts)
        self._pixels: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        for values in self.pictures.values():
            for value, count in values.counts.items():
                self._pixels[self._code(value, values)] += count
                self._files[self._code(value, values)] += 1
        self.has_several = len(self._pixels) > 1
        self._over = self._threshold()
        self._wanted = set() if self._over is not None else self._chosen()
        self._check()

    def _code(self, value: int, values: LabelValues) -> str:
        if not values.is_colour:
            return str(value)
        return str(value & 0xFF) if self._is_grey else f"#{value:06x}"

    def _threshold(self) -> int | None:
        """Return N of `--category '>N'`."""
        text = self._options.category or ""
        found = re.fullmatch(r"> *(\d+)", text.strip())
        if found is None:
            return None
        if not self._is_grey:
            raise DataFormatError(
                f"{self._source.shown}: --category {text!r} is for grey levels, but these are colours"
            )
        if self._options.unnamed is None:
            raise DataFormatError(f"{self._source.shown}: --category {text!r} has no name; give it one with --as")
        return int(found[1])

    def _chosen(self) -> set[tuple[bool, int]]:
        """Return the values that `--category` means: a colour, a number, or else an index of palettes."""
        text = (self._options.category or "").strip()
        number, colour = int(text) if text.isdecimal() else None, colour_of(text)
        exact: set[tuple[bool, int]] = set()
        for values in self.pictures.values():
            for value in values.counts:
                level = value if not values.is_colour else value & 0xFF if self._is_grey else None
                shown = value if values.is_colour else value * 0x010101 if value <= 0xFF else None
                if (number is not None and level == number) or (colour is not None and shown == colour):
                    exact.add((values.is_colour, value))
        if exact or number is None:
            return exact
        indexed = {(v.is_colour, v.indices[number]) for v in self.pictures.values() if number in v.indices}
        if len(indexed) > 1:
            listed = ", ".join(f"#{value:06x}" for _, value in sorted(indexed))
            raise DataFormatError(
                f"{self._source.shown}: index {number} has several colours ({listed}); choose a colour with --category"
            )
        return indexed

    def _check(self) -> None:
        options, place = self._options, self._source.shown
        if options.category is None and options.instances:
            levels = {int(code) for code in self._pixels if code.isdecimal()}
            if _IGNORE in levels and _IGNORE - 1 not in levels and self.has_several:
                raise DataFormatError(
                    f"{place}: 255 seems to mark pixels to ignore, and no instance; set them to 0, or to another number"
                )
            return
        if not self.has_several and not set(self._pixels) & set(_BLACK):
            return
        if self._wanted or self._over is not None:
            return
        if options.category is not None:
            raise DataFormatError(f"{place}: no pixel has the value {options.category!r}; there are {self._listed()}")
        names = {
            name.casefold() for task in self._source.tasks.values() for name in (task.category, task.target) if name
        }
        if set(self._pixels) <= names or (options.new_targets and len(self._pixels) <= _MOST_CATEGORIES):
            return
        remedy = "choose one with --category VALUE (--as names it), or make a target of each with --new-targets"
        if len(self._pixels) > _FEW:
            remedy = (
                "if edges are soft, --category '>127' --as NAME takes what is brighter; or is it the picture itself?"
            )
        elif str(_IGNORE) in self._pixels:
            remedy += "; 255 often marks pixels to ignore, which no drawing can state"
        raise DataFormatError(f"{place}: values besides the background: {self._listed()}; {remedy}")

    def _listed(self) -> str:
        often = self._pixels.most_common(_LISTED)
        listed = ", ".join(f"{code} ({count:,} pixels in {self._files[code]} files)" for code, count in often)
        return listed + (f" and {len(self._pixels) - _LISTED} more" if len(self._pixels) > _LISTED else "")

    def marks(self, path: Path) -> Iterator[Mark]:
        """Yield a mark for every value of a picture, or one for those above the threshold."""
        values, options = self.pictures[path], self._options
        if self._over is not None:
            above = [value for value in values.counts if (value & 0xFF if values.is_colour else value) > self._over]
            if above:
                yield Mark(None, partial(self._drawn, path, above), str(path), code=options.category)
            return
        for value in sorted(values.counts):
            code = self._code(value, values)
            place = f"{path}, value {code}"
            draw = partial(self._drawn, path, [value])
            if (values.is_colour, value) in self._wanted:
                yield Mark(None, draw, place, code=options.category)
            elif options.instances and options.category is None:
                yield Mark(None, draw, place, group=value)
            else:
                yield Mark(None, draw, place, code=code if self.has_several else None)

    def _drawn(self, path: Path, wanted: list[int], height: int, width: int) -> Patch:
        """Read a picture again, unless it was the last one, and return the smallest patch with its values."""
        if self._last is None or self._last[0] != path:
            self._last = path, read_label_picture(path)[0]
        mask = np.isin(self._last[1], wanted)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, left = int(rows[0]), int(columns[0])
        return Patch(mask[top : rows[-1] + 1, left : columns[-1] + 1], top, left)
