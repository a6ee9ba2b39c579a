"""Read GeoPixelD (GeoPixel, arXiv 2501.13925): captions whose phrases have masks, for 800 px cuts of DOTA images.

Masks are drawn as GeoPixel's own reader draws them (data_mix.py, read in the copy github.com/p-vacek/GeoPixel):
`cv2.fillPoly` of every polygon of a group over vertices cast to int32, one group for each `[SEG]` of the caption.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from earthreason.data.about import About
from earthreason.data.pictures import size_of
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.annotations import vertices_of
from earthreason.data.sources.base import (
    FROM_DISK,
    SampleSource,
    SourceFormat,
    make_record,
    named,
    read_json,
    register,
)
from earthreason.data.sources.lookup import any_starts_with, folders_below, read_index, text_of
from earthreason.data.sources.places import pictures_in
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import visible_files
from earthreason.masks.png import encode_mask_png
from earthreason.plurals import count_of

QUESTION = "Describe this image, and mark every object that the description names."
"""Question of a caption whose dialogue `GeoPixelD.json` does not have; it has those of the training split only."""
_HUB = "https://huggingface.co/datasets/MBZUAI/GeoPixelD"
_DIALOGUES = "GeoPixelD.json"
_KEYS = ("id", "img", "gcg_description", "polygons")
_PHRASE = re.compile(r"<p>\s*(.*?)\s*</p>")
_SEGMENT = "[SEG]"
_log = logging.getLogger(__name__)


class GeoPixelD(SampleSource):
    """Samples of `SPLIT/STEM.json` with a caption and polygons, beside `STEM.png`.

    Pictures without such a file have no annotation and are no samples. The masks of the phrases are `targets`, `mask`
    is their union, and `extra` has the `phrases` in the same order.
    """

    name = "geopixel"

    def __init__(self, root: Path) -> None:
        super().__init__()
        folder = _locate(root)
        if folder is None:
            raise DataNotFoundError(
                f"{root} contains no GeoPixelD: expected train/ or test/ with STEM.json beside STEM.png"
            )
        self._pictures = {split: pictures_in(folder / name) for name, split in FROM_DISK.items()}
        files = {split: visible_files(folder / name, "*.json") for name, split in FROM_DISK.items()}
        self._files = {split: paths for split, paths in files.items() if paths}
        self._questions = _questions(folder / _DIALOGUES)
        self.counts = {split: len(paths) for split, paths in self._files.items()}

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """List the captions of a split by the stems of their files."""
        for path in self._files[split]:
            yield path.stem, partial(self._record, split, path)

    def _record(self, split: str, path: Path) -> Record:
        content = read_json(path)
        caption = text_of(content, "gcg_description", str(path))
        image = self._pictures[split].find(f"{path.stem}.png", str(path))
        with named(path, "an annotation of GeoPixelD"):
            groups = content["polygons"]
            needed = caption.count(_SEGMENT)
            if len(groups) != needed or not needed:
                raise DataFormatError(
                    f"{path}: the caption has {needed} {_SEGMENT} for "
                    f"{count_of(len(groups), 'group of polygons', 'groups of polygons')}",
                    f"another number of masks than of {_SEGMENT}",
                )
            size = size_of(image)
            masks = [_draw(group, size, str(path)) for group in groups]
        return make_record(
            f"geopixel_{split}_{path.stem}",
            image,
            np.logical_or.reduce(masks),
            self._questions.get((split, path.stem), QUESTION),
            answers=[caption],
            targets=[encode_mask_png(mask) for mask in masks] if len(masks) > 1 else None,
            source="GeoPixelD",
            extra=extra_keys({**content, "phrases": _PHRASE.findall(caption) or None}, _KEYS),
        )


def _draw(polygons: Any, size: tuple[int, int], place: str) -> np.ndarray:
    """Fill the polygons of one group, as a (height, width) bool mask."""
    import cv2  # takes 0.1 s, and few commands draw polygons

    canvas = np.zeros(size, np.uint8)
    for polygon in polygons:
        vertices = vertices_of(polygon, place)
        if vertices.size == 0:
            continue
        if vertices.ndim != 2 or vertices.shape[1] != 2:
            raise DataFormatError(f"{place}: a polygon is a list of [x, y]", "broken polygon")
        cv2.fillPoly(canvas, [vertices.astype(np.int32)], 1)
    return canvas.astype(bool)


def _questions(path: Path) -> dict[tuple[str, str], str]:
    """Read the questions of the dialogues by split and stem; none if there is no such file.

    A broken dialogue is passed over, because the caption and its masks are in another file.
    """
    questions, broken = {}, []
    for number, entry in enumerate(read_index(path, "the dialogues of GeoPixelD") if path.is_file() else ()):
        place = f"{path}[{number}]"
        try:
            image = PurePosixPath(text_of(entry, "image", place))
            with named(Path(place), "a dialogue of GeoPixelD"):
                first = next(turn for turn in entry["conversations"] if turn["from"] == "human")
            questions[FROM_DISK.get(image.parent.name, ""), image.stem] = text_of(first, "value", place)
        except (DataFormatError, StopIteration) as error:
            broken.append(str(error) or f"{place}: nobody asks")
    if broken:
        _log.warning("left out %s of GeoPixelD: %s", count_of(len(broken), "broken dialogue"), broken[0])
    return questions


def _locate(root: Path) -> Path | None:
    for folder, _ in folders_below(root, 2):
        if any(any_starts_with(folder / name, "*.json", ("gcg_description", "polygons")) for name in FROM_DISK):
            return folder
    return None


register(
    SourceFormat(
        name="geopixel",
        title="GeoPixelD: SPLIT/STEM.json with gcg_description and polygons, beside STEM.png",
        matches=_locate,
        open=GeoPixelD,
        precedence=18,
        config="geopixel",
        about=About(
            title="GeoPixelD",
            licence="unknown; the images have the terms of DOTA, which allow academic use",
            origin="GeoPixelD was published with GeoPixel on the Hugging Face Hub. Its images are cut from DOTA, whose "
            "own terms apply to them.",
            url=_HUB,
            creator="MBZUAI",
            citation="GeoPixel: Pixel Grounding Large Multimodal Model in Remote Sensing, arXiv 2501.13925",
        ),
        paper="https://arxiv.org/abs/2501.13925",
        how_to_get=_HUB,
        splits={"train": 16_795, "test": 1943},
    )
)
