"""Read DRSeg (PixDLM, arXiv 2604.15670): reasoning questions about UAV images, with polygons.

Polygons are read as PixDLM's own reader does (github.com/XIEFOX/PixDLM, utils/muse.py): of a nested list the first
ring, filled by pycocotools; a polygon of fewer than three points or of one pixel is skipped, and so is an entry without
a polygon that covers a pixel. Its evaluator unites the instances of an image, so they are one mask here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.about import About
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.annotations import check_stated_size, draw_polygons, vertices_of
from earthreason.data.sources.base import (
    FROM_DISK,
    IMAGE_SUFFIXES,
    SampleSource,
    SourceFormat,
    make_record,
    named,
    register,
)
from earthreason.data.sources.lookup import (
    folders_below,
    index_files,
    read_index,
    starts_with,
    text_of,
    texts_of,
    unique_ids,
)
from earthreason.data.sources.places import NO_PICTURE, NamedFiles, find_in_any, pictures_in
from earthreason.errors import DataFormatError, DataNotFoundError

_HUB = "https://huggingface.co/datasets/WhynotHug/DRSeg"
_MARKS, _OTHER = ("height", "width", "ann_list", "questions"), ("file_name", "coco_url")
"""Keys of an entry, and keys that MUSE has, whose entries are alike."""
_SPLITS = {
    **{word: split for name, split in FROM_DISK.items() for word in (name, f"dr{name}")},
    "validation": "validation",
}
_PICTURES = 5
"""Depth of the folders with pictures, two below that of the indexes."""
_KEYS = ("id", "height", "width", "ann_list", "questions", "answers", "reasoning_types")


class DRSeg(SampleSource):
    """Samples of an index per split, such as `labels/DRSeg_val.json`, and `ID.jpg`, such as `CODrone/DRval/ID.jpg`.

    The pictures of a split are in the folder below the root whose name contains the split, or in any one folder.
    """

    name = "drseg"

    def __init__(self, root: Path) -> None:
        super().__init__()
        files = _indexes_to_read(root)
        if not files:
            raise DataNotFoundError(f"{root} contains no DRSeg: no JSON file lists samples with {', '.join(_MARKS)}")
        folders = [
            folder
            for folder, names in folders_below(root, _PICTURES)
            if any(n.lower().endswith(IMAGE_SUFFIXES) for n in names)
        ]
        self._samples: dict[str, list[tuple[str, Callable[[], Record]]]] = {}
        for path in files:
            split = _split_in(path.relative_to(root)) or ("test" if len(files) == 1 else None)
            if split is None:
                raise DataFormatError(f"{path}: its name says no split; rename it, such as DRSeg_test.json")
            if split in self._samples:
                raise DataFormatError(f"{root}: two files list samples of {split}, one is {path}; remove one")
            entries = read_index(path, "an index of DRSeg")
            splits = {folder: _split_in(folder.relative_to(root)) for folder in folders}
            of_split = [f for f in folders if splits[f] == split] or [f for f in folders if splits[f] is None]
            pictures = [pictures_in(folder) for folder in of_split]
            ids = unique_ids(
                f"drseg_{split}_{entry.get('id', n) if isinstance(entry, dict) else n}"
                for n, entry in enumerate(entries)
            )
            self._samples[split] = [
                (f"{path.name}[{number}]", partial(_record, entry, ids[number], pictures, f"{path}[{number}]"))
                for number, entry in enumerate(entries)
            ]
        self.counts = {split: len(samples) for split, samples in self._samples.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the images of a split in the order of its index."""
        yield from self._samples[split]


def _indexes(root: Path) -> list[Path]:
    return [path for path in index_files(root) if starts_with(path, _MARKS, _OTHER)]


def _indexes_to_read(root: Path) -> list[Path]:
    """List the indexes, and files whose names say that they are one, so that no broken index is passed over."""
    folders = {path.parent for path in _indexes(root)}
    return [
        path
        for path in index_files(root)
        if starts_with(path, _MARKS, _OTHER)
        or "drseg" in path.stem.lower()
        or (path.parent in folders and _split_in(Path(path.name)))
    ]


def _split_in(path: Path) -> str | None:
    """Return the split that the last words of a path name: `CODrone/DRval` is validation; None if none does."""
    words = re.findall(r"[a-z]+", path.with_suffix("").as_posix().lower())
    return next((_SPLITS[word] for word in reversed(words) if word in _SPLITS), None)


def _record(entry: Any, sample_id: str, pictures: list[NamedFiles], place: str) -> Record:
    image = _picture(text_of(entry, "id", place), pictures, place)
    with named(Path(place), "a sample of DRSeg"):
        mask = _mask(entry, image, place)
        return make_record(
            sample_id,
            image,
            mask,
            texts_of(entry, "questions", place),
            answers=texts_of(entry, "answers", place) if entry.get("answers") else [],
            source="DRSeg",
            reasoning_type=texts_of(entry, "reasoning_types", place)[0] if entry.get("reasoning_types") else None,
            extra=extra_keys(entry, _KEYS),
        )


def _picture(stem: str, pictures: list[NamedFiles], place: str) -> Path:
    found = find_in_any(pictures, f"{stem}.jpg", place)
    if len(found) == 1:
        return found[0]
    folders = ", ".join(str(folder.folder) for folder in pictures) or "any folder beside the index"
    if found:
        raise DataFormatError(f"{place}: several folders have a picture {stem!r}: {folders}", "several pictures")
    raise DataFormatError(f"{place}: there is no picture {stem}.jpg in {folders}", NO_PICTURE)


def _mask(entry: dict[str, Any], image: Path, place: str) -> np.ndarray:
    height, width = entry["height"], entry["width"]
    check_stated_size((height, width), image, place)
    parts = []
    for annotation in entry["ann_list"]:
        points = annotation["segmentation"]
        points = points[0] if points and isinstance(points[0], list) else points
        if len(points) < 6:
            continue
        values = vertices_of(points, place)
        if np.ptp(values[0::2]) < 1 and np.ptp(values[1::2]) < 1:
            continue
        parts.append(draw_polygons([values.tolist()], height, width))
    mask = np.logical_or.reduce([np.zeros((height, width), bool), *parts])
    if not mask.any():
        raise DataFormatError(f"{place}: no polygon covers a pixel, so its own reader skips it too", "no target")
    return mask


register(
    SourceFormat(
        name="drseg",
        title="DRSeg: lists of samples with ann_list, questions and reasoning_types, and ID.jpg",
        matches=lambda folder: bool(_indexes(folder)),
        open=DRSeg,
        precedence=14,
        config="drseg",
        about=About(
            title="DRSeg",
            licence="unknown",
            origin="DRSeg was published with PixDLM on the Hugging Face Hub; its images were taken by drones.",
            url=_HUB,
            citation="PixDLM: A Dual-Path Multimodal Language Model for UAV Reasoning Segmentation, arXiv 2604.15670",
        ),
        paper="https://arxiv.org/abs/2604.15670",
        how_to_get=_HUB,
    )
)
