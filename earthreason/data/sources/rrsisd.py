"""Read RRSIS-D: referring expressions for DIOR images, in REFER's layout.

As in RMSIN's reader, the target is what exactly one part of the annotation covers. Unlike the readers of published
models, this one looks up an image by its image id, not by its position or the id of the reference, and draws masks at
the size of the image file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from earthreason.data.about import About
from earthreason.data.pictures import picture_size
from earthreason.data.schema import Record
from earthreason.data.sources.annotations import mask_of_single_cover
from earthreason.data.sources.base import (
    FROM_DISK,
    SampleSource,
    SourceFormat,
    find_file,
    make_record,
    read_json,
    register,
)
from earthreason.data.sources.pickles import load_pickle
from earthreason.errors import DataFormatError
from earthreason.files import is_system_name, visible_files

_REFERENCES = "refs(unc).p"
_SPLITS = {**FROM_DISK, "validation": "validation"}
_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
_OFFICIAL_FOLDER = "JPEGImages"


class RRSISD(SampleSource):
    """Samples of `refs(unc).p`, `instances.json` and images.

    `title` names the set in the column `source`. A reference whose split is unknown is listed in the first split, so
    that reading it there says what is wrong.
    """

    name = "rrsis-d"
    title = "RRSIS-D"

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._place = find_file(root, _REFERENCES, self.title)
        references = load_pickle(self._place)
        instances = read_json(find_file(root, "instances.json", self.title))
        if not isinstance(references, list):
            raise DataFormatError(f"{self._place}: expected a list of references, got {type(references).__name__}")
        try:
            self._images, self._annotations = _by_id(instances["images"]), _by_id(instances["annotations"])
            self._categories = {key: row.get("name") for key, row in _by_id(instances.get("categories", [])).items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise DataFormatError(f"{root}: instances.json has no table {error}") from None
        self._files = _files_by_stem(root)
        known = {split for reference in references if (split := _split_of(reference))}
        first = next((split for split in _SPLITS.values() if split in known), "train")
        self._references: dict[str, list[tuple[str, Any]]] = {}
        seen: Counter[str] = Counter()
        for number, reference in enumerate(references):
            name = str(reference["ref_id"]) if _has(reference, "ref_id") else f"#{number}"
            seen[name] += 1
            unique = name if seen[name] == 1 else f"{name}_{seen[name]}"
            self._references.setdefault(_split_of(reference) or first, []).append((unique, reference))
        self.counts = {split: len(self._references[split]) for split in _SPLITS.values() if split in self._references}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """Return the references of a split, and functions that read one."""
        for name, reference in self._references[split]:
            yield f"reference {name}", partial(self._read_one, name, reference)

    def _read_one(self, name: str, reference: Any) -> Record:
        place = f"{self._place}: reference {name}"
        try:
            if _split_of(reference) is None:
                raise DataFormatError(f"its split is {reference['split']!r}, not {', '.join(FROM_DISK)}")
            image = _row_of(self._images, "image", reference["image_id"])
            annotation = _row_of(self._annotations, "annotation", reference["ann_id"])
            path = self._file_of(str(image["file_name"]))
            questions = [str(sentence.get("raw") or sentence["sent"]) for sentence in reference["sentences"]]
            if not any(question.strip() for question in questions):
                raise DataFormatError("it has no sentence")
            content = path.read_bytes()
            stated = _size_of(image)
            size = picture_size(content, path, stated)
            mask = mask_of_single_cover(annotation["segmentation"], size, stated or size)
            category = self._categories.get(reference.get("category_id", annotation.get("category_id")))
        except DataFormatError as error:
            raise DataFormatError(f"{place}: {error}") from None
        except KeyError as error:
            raise DataFormatError(f"{place}: {error} is missing") from None
        except (TypeError, ValueError, AttributeError, OSError) as error:
            raise DataFormatError(f"{place}: not as in REFER ({error})") from None
        sample_id = f"{self.name.replace('-', '')}_{name}"
        return make_record(sample_id, path, mask, questions, content, source=self.title, category=category)

    def _file_of(self, name: str) -> Path:
        """Find an image by the path that instances.json states, whatever the case and suffix of the file.

        Of several, the files with the stated suffix come first, then those in the folder of the official layout.

        Raises:
            DataFormatError: there is no such file, or several fit as well.
        """
        stated = PurePosixPath(name.replace("\\", "/"))
        folders = [part.lower() for part in stated.parent.parts if part not in (".", "..", "/")]
        found = [
            path
            for path in self._files.get(stated.stem.lower(), [])
            if [part.lower() for part in path.parent.parts][len(path.parent.parts) - len(folders) :] == folders
        ]
        for preferred in (
            [path for path in found if path.name == stated.name],
            [path for path in found if path.suffix.lower() == stated.suffix.lower()],
        ):
            found = preferred or found
        found = [path for path in found if _OFFICIAL_FOLDER in path.parts] or found
        if len(found) > 1:
            listed = ", ".join(map(str, found[:3]))
            raise DataFormatError(f"several files may be {name!r} ({listed}); remove the others")
        if not found:
            raise DataFormatError(f"there is no image {name!r}")
        return found[0]


def _files_by_stem(root: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_system_name(name))
        for name in sorted(names):
            stem, suffix = os.path.splitext(name)  # noqa: PTH122, a Path for each of 17,402 files takes a second
            if suffix.lower() in _SUFFIXES and not name.startswith("."):
                files.setdefault(stem.lower(), []).append(Path(folder, name))
    return files


def _by_id(rows: list[Any]) -> dict[Any, dict[str, Any]]:
    """Return the rows of a table by id; a reference to a row without one is reported where it is read."""
    return {row["id"]: row for row in rows if _has(row, "id")}


def _row_of(table: dict[Any, dict[str, Any]], kind: str, key: Any) -> dict[str, Any]:
    if key not in table:
        raise DataFormatError(f"{kind} {key!r} is missing in instances.json")
    return table[key]


def _size_of(image: dict[str, Any]) -> tuple[int, int] | None:
    if image.get("height") is None or image.get("width") is None:
        return None
    height, width = int(image["height"]), int(image["width"])
    if min(height, width) < 1:
        raise ValueError(f"its image is stated to be {height}x{width}")
    return height, width


def _has(row: Any, key: str) -> bool:
    return isinstance(row, dict) and isinstance(row.get(key), int | float | str)


def _split_of(reference: Any) -> str | None:
    return _SPLITS.get(reference["split"]) if _has(reference, "split") else None


register(
    SourceFormat(
        name="rrsis-d",
        title="RRSIS-D: refs(unc).p, instances.json and JPEG images",
        matches=lambda folder: bool(visible_files(folder, f"**/{_REFERENCES}")),
        open=RRSISD,
        precedence=20,
        config="rrsis-d",
        about=About(
            title="RRSIS-D",
            licence="unknown",
            origin="RRSIS-D was published with RMSIN (arXiv 2312.12470); its images come from DIOR.",
            url="https://github.com/Lsan2401/RMSIN",
            citation="Rotated Multi-Scale Interaction Network for Referring Remote Sensing Image Segmentation, "
            "arXiv 2312.12470",
        ),
        paper="https://arxiv.org/abs/2312.12470",
        how_to_get="https://github.com/Lsan2401/RMSIN",
        splits={"train": 12_181, "validation": 1740, "test": 3481},
    )
)
