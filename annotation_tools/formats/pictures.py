"""Read label pictures: pictures named after images, whose values or colours say what their pixels show.

0, black and transparent pixels are background, as are those that a GeoTIFF marks as without data. If all pictures have
one other value between them, they are masks of one target. Of several values none becomes target or background unsaid:
`--category` chooses one, `--new-targets` makes a target of each, and `--instances` takes them as numbers of instances.
A name `IMAGE__TARGET` states the target of an image, and pictures of one target are then looked at together.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from earthreason.errors import DataFormatError
from earthreason.plurals import count_of

from .base import AnnotatedImage, Mark, Patch
from .label_values import BACKGROUND, LabelValues, colour_of, is_grey, read_label_picture
from .matching import Images
from .source import Format, Source
from .targets import spaced

SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
_LOSSY_SUFFIXES = (".jpg", ".jpeg", ".webp", ".gif", ".jp2")
_ADDED = re.compile(r"(?P<name>.+?)[_-](?:masks?|labels?|class(?:es)?|gt|seg|segmentation)", re.IGNORECASE)
"""Stem of a label picture that is named after its image and a word for what it is."""
_PART = re.compile(r"(?P<name>.+)\.target-\d+")
_LISTED = 10
_FEW = 16
_MOST_CATEGORIES = 256
_IGNORE = 255
_BLACK = ("0", "#000000")
_SILENT = "pictures of background only, which is not stated to mean 'no target' where there are several values"


def _read(source: Source) -> Iterator[AnnotatedImage]:
    folder = _Folder(source)
    options = source.options
    for path, values in folder.pictures.items():
        name = folder.names[path]
        has_several = folder.has_several(path)
        marks = tuple(folder.marks(path))
        says_empty = not values.counts and not has_several
        skipped = Counter[str]()
        if not marks and not says_empty and not options.unmarked_is_empty:
            skipped["pictures without a pixel above the threshold" if values.counts else _SILENT] += 1
        if says_empty and folder.is_of_another_target(name):
            says_empty = False
            skipped["pictures of other targets, without a pixel"] += 1
        target = name.target
        if target is None and options.new_targets and options.target is None and (folder.chooses or not has_several):
            target = options.unnamed
        yield AnnotatedImage(
            name.image,
            marks,
            name.shown,
            values.size,
            says_empty=says_empty,
            task=name.task,
            target=target,
            skipped=skipped,
        )


def _claims(source: Source) -> bool:
    known = SUFFIXES + _LOSSY_SUFFIXES
    return source.suffix in known or (source.path.is_dir() and bool(source.files(*known)))


FORMAT = Format("label pictures (PNG, TIFF, BMP)", _claims, _read)


@dataclass(frozen=True)
class _Name:
    """What the name of a label picture says.

    Attributes:
        image: names of the image.
        shown: name of the file in messages.
        task: ID of the task of that name, which may be yet to be made.
        target: target of the image that the name states, as people write it.
        label: category of the task of that name in the workspace.
        known_target: target of the task of that name in the workspace.
    """

    image: tuple[str, ...]
    shown: str
    task: str | None = None
    target: str | None = None
    label: str | None = None
    known_target: str | None = None


def _name_of(path: Path, source: Source, images: Images) -> _Name:
    name = path.relative_to(source.path).as_posix() if source.path.is_dir() else path.name
    shown = source.name_of(path) if source.path.is_dir() else source.shown
    added = _ADDED.fullmatch(path.stem)
    whole = (name, added["name"]) if added else (name,)
    own = source.tasks.get(path.stem) or (source.tasks.get(added["name"]) if added else None)
    if own is not None and own.task != own.image:
        known = own.category or own.target
        return _Name(whole, shown, own.task, None, source.options.unnamed or known, own.target or known)
    if own is not None:  # the name is that of the image, to which targets may be added
        return _Name(whole, shown, None if source.options.new_targets or own.task != path.stem else own.task)
    if not _is_there(images, whole):
        stem = added["name"] if added else path.stem
        for cut in reversed([found.start() for found in re.finditer("(?=__)", stem)]):
            image, target = stem[:cut], stem[cut + 2 :].strip("_")
            names = (str(PurePosixPath(name).with_name(f"{image}.png")),) if image and target else ()
            if names and _is_there(images, names):
                return _Name(names, shown, f"{image}__{target}", target.replace("_", " "))
    return _Name(whole, shown)


def _is_there(images: Images, names: tuple[str, ...]) -> bool:
    try:
        return images.find(names, "") is not None
    except DataFormatError:  # several, which the matching reports
        return True


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


def _parts(files: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return the masks of separate targets by the mask that unites them, as `masks export --format png` writes them."""
    parts: dict[Path, list[Path]] = defaultdict(list)
    there = set(files)
    for path in files:
        found = _PART.fullmatch(path.stem)
        united = path.parent.parent / f"{found['name']}{path.suffix}" if found else None
        if path.parent.name == "targets" and united in there:
            parts[united].append(path)
    return dict(parts)


class _Folder:
    """All label pictures that are read together: what a value means can be told only from all of them.

    Raises:
        DataFormatError: there are several values, and nothing says what to do with them.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._options = source.options
        self._parts = _parts(_files(source))
        several = {part for parts in self._parts.values() for part in parts}
        self.pictures = {path: read_label_picture(path)[1] for path in _files(source) if path not in several}
        self._last: tuple[Path, np.ndarray] | None = None
        of_colours = [values for values in self.pictures.values() if values.is_colour]
        self._is_grey = all(is_grey(colour) for values in of_colours for colour in values.counts)
        self._pixels: Counter[str] = Counter()
        self._files: Counter[str] = Counter()
        for values in self.pictures.values():
            for value, count in values.counts.items():
                self._pixels[self._code(value, values)] += count
                self._files[self._code(value, values)] += 1
        images = Images(source.tasks.values())
        self.names = {path: _name_of(path, source, images) for path in self.pictures}
        self._values: dict[str, set[str]] = defaultdict(set)
        for path, values in self.pictures.items():
            self._values[self._group(path)].update(self._code(value, values) for value in values.counts)
        self._over = self._threshold()
        self._wanted = set() if self._over is not None else self._chosen()
        self.chooses = bool(self._wanted) or self._over is not None
        self._check()

    def _group(self, path: Path) -> str:
        """Return what is common to the pictures that are read together: those of one target, if names state it."""
        return (self.names[path].target or self.names[path].known_target or "").casefold()

    def is_of_another_target(self, name: _Name) -> bool:
        """Tell whether `--category` names a target, and another one than the name of a file."""
        about, category = name.target or name.known_target, self._options.category
        return about is not None and category is not None and not self.chooses and spaced(about) != spaced(category)

    def has_several(self, path: Path) -> bool:
        """Tell whether pictures like this one have several values, so that none is the target by itself."""
        return len(self._values[self._group(path)]) > 1

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
        if self._options.unnamed is None and not all(name.target or name.label for name in self.names.values()):
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
            if _IGNORE in levels and _IGNORE - 1 not in levels and len(levels) > 1:
                raise DataFormatError(
                    f"{place}: 255 seems to mark pixels to ignore, and no instance; set them to 0, or to another number"
                )
            return
        several = any(len(values) > 1 for values in self._values.values())
        if (not several and not set(self._pixels) & set(_BLACK)) or self.chooses:
            return
        if options.category is not None:
            raise DataFormatError(f"{place}: no pixel has the value {options.category!r}; there are {self._listed()}")
        names = {
            name.casefold() for task in self._source.tasks.values() for name in (task.category, task.target) if name
        }
        of_one_target = any(group and len(values) > 1 for group, values in self._values.items())
        if not of_one_target and set(self._pixels) <= names:
            return
        if not of_one_target and options.new_targets and len(self._pixels) <= _MOST_CATEGORIES:
            return
        remedy = "choose one with --category VALUE (--as names it), or make a target of each with --new-targets"
        if of_one_target:
            remedy = "but names of files state one target; choose a value with --category VALUE, or --category '>127'"
        if len(self._pixels) > _FEW:
            remedy = (
                "if edges are soft, --category '>127' --as NAME takes what is brighter; or is it the picture itself?"
            )
        elif self._is_grey:
            remedy += "; of soft edges, --category '>127' --as NAME takes what is brighter"
        if len(self._pixels) <= _FEW and not of_one_target and str(_IGNORE) in self._pixels:
            remedy += "; 255 often marks pixels to ignore, which no drawing can state"
        raise DataFormatError(f"{place}: values besides the background: {self._listed()}; {remedy}")

    def _listed(self) -> str:
        often = self._pixels.most_common(_LISTED)
        listed = ", ".join(
            f"{code} ({count_of(count, 'pixel')} in {count_of(self._files[code], 'file')})" for code, count in often
        )
        return listed + (f" and {len(self._pixels) - _LISTED} more" if len(self._pixels) > _LISTED else "")

    def marks(self, path: Path) -> Iterator[Mark]:
        """Yield a mark for every value of a picture, or one for those above the threshold."""
        values, options = self.pictures[path], self._options
        name, shown = self.names[path], self.names[path].shown
        label = name.target or name.label
        if path in self._parts:
            yield from self._marks_of_parts(path, label)
            return
        if self._over is not None:
            above = [value for value in values.counts if (value & 0xFF if values.is_colour else value) > self._over]
            if above:
                yield Mark(label, partial(self._drawn, path, above), shown, code=options.category)
            return
        for value in sorted(values.counts):
            code = self._code(value, values)
            place = f"{shown}, value {code}"
            draw = partial(self._drawn, path, [value])
            if (values.is_colour, value) in self._wanted:
                yield Mark(label, draw, place, code=options.category)
            elif options.instances and options.category is None:
                yield Mark(label, draw, place, group=value)
            elif self.has_several(path):
                yield Mark(None, draw, place, code=code)
            else:
                yield Mark(label, draw, place)

    def _marks_of_parts(self, path: Path, label: str | None) -> Iterator[Mark]:
        """Yield a mark for every separate target of a mask.

        Raises:
            DataFormatError: together they are not the mask, so one of them was changed.
        """
        united = np.zeros(self.pictures[path].size, bool)
        for part in self._parts[path]:
            values, found = read_label_picture(part)
            if found.size != united.shape:
                raise DataFormatError(f"{self._source.name_of(part)}: has another size than {path.name}")
            united |= values != BACKGROUND
            yield Mark(label, partial(self._drawn, part, list(found.counts)), self._source.name_of(part))
        if not np.array_equal(united, read_label_picture(path)[0] != BACKGROUND):
            raise DataFormatError(
                f"{self.names[path].shown}: is not the union of its {count_of(len(self._parts[path]), 'mask')} in "
                "targets/; delete what is there, or change it too"
            )

    def _drawn(self, path: Path, wanted: list[int], height: int, width: int) -> Patch:
        """Read a picture again, unless it was the last one, and return the smallest patch with its values."""
        if self._last is None or self._last[0] != path:
            self._last = path, read_label_picture(path)[0]
        mask = np.isin(self._last[1], wanted)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        top, left = int(rows[0]), int(columns[0])
        return Patch(mask[top : rows[-1] + 1, left : columns[-1] + 1], top, left)
