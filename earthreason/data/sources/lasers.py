"""Read LaSeRS (SegEarth-R2, arXiv 2512.20013): questions with several masks, one for each `[SEG]` of the answer.

The evaluator (github.com/earth-insights/SegEarth-R2, segearth_r2/datasets/dataset.py) takes as many masks as the answer
has `[SEG]` and leaves out the others; too few masks stop it. It reports every annotation file on its own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.about import About
from earthreason.data.pictures import ANOTHER_SIZE, rgb_content, size_of
from earthreason.data.schema import HiddenLabel, Record, extra_keys
from earthreason.data.sources.annotations import draw_polygons, mask_of_rle, vertices_of
from earthreason.data.sources.base import (
    FROM_DISK,
    SampleSource,
    SourceFormat,
    make_record,
    named,
    register,
)
from earthreason.data.sources.lookup import any_starts_with, folders_below, read_index, text_of, unique_ids
from earthreason.data.sources.places import NamedFiles, pictures_in
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import visible_files
from earthreason.masks.png import encode_mask_png
from earthreason.plurals import count_of

_HUB = "https://huggingface.co/datasets/earth-insights/LaSeRS"
_KEYS = ("id", "image_name", "description", "answer", "mask")
_MARKS = ("image_name", "description", "answer")
"""Keys that tell an annotation file from those of other sets."""
_SEGMENT = "[SEG]"
_PLAIN = {"train", "test", "val", "data", "ann", "anno", "annotation", "annotations", "lasers", "all"}
"""Words in the name of an annotation file that say nothing about its questions."""
_log = logging.getLogger(__name__)


class LaSeRS(SampleSource):
    """Samples of `SPLIT/annotations/*.json` and `SPLIT/images/`; each file is one dimension of the questions.

    The masks of an answer with several `[SEG]` are `targets`, and `mask` is their union. `reasoning_type` is the name
    of the annotation file, so that the judge reports each file as the evaluator does. A split in which no entry has a
    mask has hidden labels: it loads for predictions, with null masks. Among other files, such a file is not read.
    """

    name = "lasers"

    def __init__(self, root: Path) -> None:
        super().__init__()
        folder = _locate(root)
        if folder is None:
            raise DataNotFoundError(
                f"{root} contains no LaSeRS: expected train/ or test/ with annotations/ and images/"
            )
        self._samples: dict[str, list[tuple[str, Callable[[], Record]]]] = {}
        for name, split in FROM_DISK.items():
            indexes = {path: _entries(path) for path in visible_files(folder / name / "annotations", "*.json")}
            hidden = [path for path, entries in indexes.items() if _is_hidden(entries)]
            if 0 < len(hidden) < len(indexes):
                _log.warning("%s: no entry has a mask; %d such files are not read", hidden[0], len(hidden))
                indexes = {path: entries for path, entries in indexes.items() if path not in hidden}
            pictures = pictures_in(folder / name / "images")
            self._samples |= {split: list(_samples(indexes, split, pictures))} if indexes else {}
        self.counts = {split: len(samples) for split, samples in self._samples.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the questions of a split, in the order of its annotation files."""
        yield from self._samples[split]


def _entries(path: Path) -> list[Any]:
    return read_index(path, "an annotation file of LaSeRS")


def _is_hidden(entries: list[Any]) -> bool:
    return not any(isinstance(entry, dict) and "mask" in entry for entry in entries)


def _samples(
    indexes: dict[Path, list[Any]], split: str, pictures: NamedFiles
) -> Iterator[tuple[str, Callable[[], Record]]]:
    for path, entries in indexes.items():
        read_one = _unlabelled if _is_hidden(entries) else _record
        stems = [entry.get("id", n) if isinstance(entry, dict) else n for n, entry in enumerate(entries)]
        ids = unique_ids(f"lasers_{split}_{path.stem}_{stem}" for stem in stems)
        for number, (sample_id, entry) in enumerate(zip(ids, entries, strict=True)):
            yield f"{path.name}[{number}]", partial(read_one, entry, sample_id, pictures, path, number)


def _unlabelled(entry: Any, sample_id: str, pictures: NamedFiles, path: Path, number: int) -> HiddenLabel:
    place = f"{path}[{number}]"
    text_of(entry, "id", place)
    image = pictures.find(text_of(entry, "image_name", place), place)
    picture, (height, width) = rgb_content(image.read_bytes(), image)
    return HiddenLabel(
        sample_id=sample_id,
        image=picture,
        mask=b"",
        height=height,
        width=width,
        is_empty=False,
        questions=[text_of(entry, "description", place)],
        answers=[entry["answer"]] if isinstance(entry.get("answer"), str) else [],
        source="LaSeRS",
        reasoning_type=_dimension(path),
        extra=extra_keys(entry, _KEYS),
    )


def _dimension(path: Path) -> str | None:
    return path.stem if set(re.findall(r"[a-z]+", path.stem.lower())) - _PLAIN else None


def _record(entry: Any, sample_id: str, pictures: NamedFiles, path: Path, number: int) -> Record:
    place = f"{path}[{number}]"
    text_of(entry, "id", place)
    question, answer = text_of(entry, "description", place), text_of(entry, "answer", place)
    image = pictures.find(text_of(entry, "image_name", place), place)
    if "mask" not in entry:
        raise DataFormatError(f"{place}: it has no mask, but other entries of the file have", "no mask")
    with named(Path(place), "a sample of LaSeRS"):
        masks = [_mask(mask, image, place) for mask in _listed(entry["mask"])]
        needed = answer.count(_SEGMENT)
        if len(masks) < needed or (masks and not needed):
            message = f"{place}: the answer has {needed} {_SEGMENT} for {count_of(len(masks), 'mask')}"
            raise DataFormatError(message, f"another number of masks than of {_SEGMENT}")
        surplus = len(masks) - needed
        masks = masks[:needed] or [np.zeros(size_of(image), bool)]
        if len({mask.shape for mask in masks}) > 1:
            raise DataFormatError(f"{place}: its masks have several sizes", ANOTHER_SIZE)
    return make_record(
        sample_id,
        image,
        np.logical_or.reduce(masks),
        question,
        answers=[answer] if needed else [],
        targets=[encode_mask_png(mask) for mask in masks] if len(masks) > 1 else None,
        source="LaSeRS",
        reasoning_type=_dimension(path),
        extra=extra_keys({**entry, "surplus_masks": surplus or None}, _KEYS),
    )


def _listed(masks: Any) -> list[Any]:
    """Return the masks as a list; a single RLE may stand without one."""
    return [masks] if isinstance(masks, dict) else list(masks)


def _mask(mask: Any, image: Path, place: str) -> np.ndarray:
    """Draw one target: an RLE in any form, one polygon, or several polygons."""
    if isinstance(mask, dict):
        return mask_of_rle(mask, image, place)
    rings = [mask] if mask and not isinstance(mask[0], list) else mask
    return draw_polygons([vertices_of(ring, place).tolist() for ring in rings], *size_of(image))


def _locate(root: Path) -> Path | None:
    """Return the folder of the splits, by the keys of their annotations."""
    for folder, _ in folders_below(root):
        if any(any_starts_with(folder / name / "annotations", "*.json", _MARKS) for name in FROM_DISK):
            return folder
    return None


register(
    SourceFormat(
        name="lasers",
        title="LaSeRS: SPLIT/annotations/*.json with descriptions and several masks, and SPLIT/images/",
        matches=_locate,
        open=LaSeRS,
        precedence=12,
        config="lasers",
        about=About(
            title="LaSeRS",
            licence="Apache-2.0; the images have the terms of SAMRS, DOTA and DIOR",
            origin="LaSeRS was published with SegEarth-R2 on the Hugging Face Hub under Apache-2.0. Its images come "
            "from SAMRS, DOTA and DIOR, whose own terms apply to them.",
            url=_HUB,
            creator="earth-insights",
            citation="SegEarth-R2, arXiv 2512.20013",
        ),
        paper="https://arxiv.org/abs/2512.20013",
        how_to_get=_HUB,
    )
)
