"""Read GeoSeg-Bench (UniGeoSeg, arXiv 2511.23332), which its code calls RSRS.

Facts are from the evaluation of github.com/MiliLab/UniGeoSeg (`eval_dataset/RS_val_dataset.py`): `SPLIT.json` lists
`{"img", "mask", "json"}` relative to its folder; 255 is target, and so is 1; the task is in the path of the image. Its
Hub repository has an index in the folder of each task (`interactive/test.json`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from earthreason.data.about import About
from earthreason.data.layout import SPLIT_WORDS
from earthreason.data.pictures import label_picture
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.base import (
    FROM_DISK,
    SampleSource,
    SourceFormat,
    make_record,
    read_json,
    register,
)
from earthreason.data.sources.lookup import starts_with
from earthreason.data.sources.places import NamedFiles
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import visible_files

_HUB = "https://huggingface.co/datasets/nishuo1999/GeoSeg-Bench"
_KEYS = ("img", "mask", "json")
_QUESTIONS, _ANSWERS = ("question", "questions"), ("reason", "reasons", "answer", "answers")
_TARGET = (1, 255)
_TASKS = {"ref": "referring", "referring": "referring", "intera": "interactive", "interactive": "interactive"}
_DEPTH = 3


@dataclass(frozen=True)
class _Entry:
    triple: Any
    folder: Path
    files: NamedFiles
    place: str


class GeoSegBench(SampleSource):
    """Samples of `SPLIT.json` in a folder or in the folders of its tasks."""

    name = "geoseg-bench"

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root
        self._entries: dict[str, list[_Entry]] = {}
        for path in _indices(root):
            triples = read_json(path)
            if not isinstance(triples, list):
                raise DataFormatError(f'{path}: expected a list of {{"img", "mask", "json"}}, found no list')
            files = NamedFiles(path.parent)
            self._entries.setdefault(SPLIT_WORDS[path.stem.lower()], []).extend(
                _Entry(triple, path.parent, files, f"{path.relative_to(root).as_posix()} entry {number}")
                for number, triple in enumerate(triples)
            )
        if not self._entries:
            names = ", ".join(f"{name}.json" for name in FROM_DISK)
            raise DataNotFoundError(f"{root} contains no index of GeoSeg-Bench: expected {names}")
        self.counts = {split: len(entries) for split, entries in self._entries.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the entries of a split; an entry that is listed again is left out."""
        seen: set[str] = set()
        for entry in self._entries[split]:
            yield entry.place, partial(self._record, entry, split, seen)

    def _record(self, entry: _Entry, split: str, seen: set[str]) -> Record:
        triple = entry.triple
        if not isinstance(triple, dict) or not all(isinstance(triple.get(key), str) for key in _KEYS):
            raise DataFormatError(f"{self._root / entry.place}: expected img, mask and json as texts", "broken entry")
        place = str(self._root / entry.place)
        image = entry.files.find(triple["img"], place, "image")
        label = entry.files.find(triple["mask"], place, "label")
        questions, answers, extra = _texts(entry.files.find(triple["json"], place, "questions"))
        task = _task(entry.folder.name, triple["img"])
        name = PurePosixPath(triple["json"].replace("\\", "/")).with_suffix("")
        sample_id = "_".join(("geoseg", split, task, *name.parts))
        if sample_id in seen:
            raise DataFormatError(f"{place}: {triple['json']} is listed twice", "repeated entry")
        seen.add(sample_id)
        grey = np.asarray(label_picture(label.read_bytes(), label)[1])
        if grey.dtype == np.uint16:
            grey = grey >> 8  # OpenCV keeps the upper bits
        return make_record(
            sample_id,
            image,
            np.isin(grey, _TARGET),
            questions,
            answers=answers,
            source="GeoSeg-Bench",
            reasoning_type=task,
            extra=extra,
        )


def _task(folder: str, image: str) -> str:
    """Return the task that the path of an image says; UniGeoSeg's code knows `/ref/` and `/intera/`."""
    parts = (folder, *image.replace("\\", "/").split("/")[:-1])
    return next((_TASKS[part.lower()] for part in reversed(parts) if part.lower() in _TASKS), "reasoning")


def _texts(path: Path) -> tuple[list[str], list[str], str | None]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise DataFormatError(f'{path}: expected {{"question": [...], "reason": [...]}}', "unreadable questions")
    questions, answers = _list(content, _QUESTIONS, path), _list(content, _ANSWERS, path)
    if not any(question.strip() for question in questions):
        raise DataFormatError(f"{path}: has no question", "no questions")
    return questions, answers, extra_keys(content, (*_QUESTIONS, *_ANSWERS))


def _list(content: dict[str, Any], keys: tuple[str, ...], path: Path) -> list[str]:
    key = next((key for key in keys if content.get(key) is not None), keys[0])
    value = content.get(key, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise DataFormatError(f"{path}: {key} is no list of texts", "unreadable questions")
    return values


def _indices(root: Path) -> list[Path]:
    """Return the files `SPLIT.json` in the highest folders that have any; files below those are not of the index."""
    for depth in range(_DEPTH):
        files = visible_files(root, "/".join(("*",) * depth + ("*.json",)))
        found = [path for path in files if path.stem.lower() in SPLIT_WORDS]
        if found:
            return found
    return []


register(
    SourceFormat(
        name="geoseg-bench",
        title="GeoSeg-Bench: SPLIT.json with img, mask and json of each sample",
        matches=lambda folder: any(starts_with(path, _KEYS) for path in _indices(folder)),
        open=GeoSegBench,
        precedence=22,
        config="geoseg-bench",
        about=About(
            title="GeoSeg-Bench",
            licence="Apache-2.0",
            origin="GeoSeg-Bench was published on the Hugging Face Hub by its authors; its card there says Apache-2.0. "
            "Its images come from public datasets, whose own terms apply to them.",
            url=_HUB,
            citation="UniGeoSeg: Towards Unified Open-World Segmentation for Geospatial Scenes, arXiv 2511.23332",
        ),
        paper="https://arxiv.org/abs/2511.23332",
        how_to_get=_HUB,
    )
)
