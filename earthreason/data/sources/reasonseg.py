"""Read ReasonSeg (LISA, arXiv 2308.00692) and similar datasets: pictures beside JSON files with texts and polygons."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from earthreason.data.about import About
from earthreason.data.pictures import picture_size, upright
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.base import (
    FROM_DISK,
    IMAGE_SUFFIXES,
    SampleSource,
    SourceFormat,
    make_record,
    read_json,
    register,
)
from earthreason.data.sources.lookup import folders_below
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import is_system_name, visible_files
from earthreason.masks.drawing import draw_polygon
from earthreason.masks.png import encode_mask_png

_log = logging.getLogger(__name__)
_TARGET, _IGNORED = 1, 255


class ReasonSeg(SampleSource):
    """Samples of `NAME.jpg` beside `NAME.json` with `text` and polygon `shapes`, in folders train, val and test.

    Shapes are drawn as LISA draws them: those that cover more pixels first, with `ignore` over or under `target`, and
    without flags. LISA reads images by OpenCV, so an image is turned by its EXIF orientation before they are drawn.
    `explanatory/*.json` gives the answers of the images that it names.
    """

    name = "reasonseg"

    def __init__(self, root: Path) -> None:
        super().__init__()
        if not root.is_dir():
            raise DataNotFoundError(f"there is no folder {root}")
        root = _locate(root) or root
        folders = {split: root / name for name, split in FROM_DISK.items() if (root / name).is_dir()}
        folders = folders or {"test": root}
        self._files = {split: _annotations(folder) for split, folder in folders.items()}
        self._pictures = {split: pictures_by_stem(folder) for split, folder in folders.items()}
        self._answers = _answers(root / "explanatory")
        self.counts = {split: len(files) for split, files in self._files.items() if files}
        if not self.counts:
            raise DataNotFoundError(f"{root} contains no ReasonSeg files: expected NAME.jpg beside NAME.json")

    def samples(self, split: str) -> Iterator[tuple[str, Callable[[], Record]]]:
        """Return the annotation files of a split, and functions that read one."""
        for path in self._files[split]:
            yield path.name, partial(self._read_one, split, path)

    def _read_one(self, split: str, path: Path) -> Record:
        image = self._pictures[split].get(path.stem)
        if image is None:
            raise DataFormatError(f"{path}: there is no picture of that name beside it")
        content = read_json(path)
        picture = upright(image.read_bytes(), image)
        try:
            texts, shapes = content["text"], content["shapes"]
            questions = [texts] if isinstance(texts, str) else [str(text) for text in texts]
            target, ignore = draw_shapes(shapes, *picture_size(picture, image))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            if isinstance(error, DataFormatError):
                raise
            lacks = "it has no " if isinstance(error, KeyError) else ""
            raise DataFormatError(f"{path}: not a ReasonSeg annotation: {lacks}{error}") from None
        if not any(question.strip() for question in questions):
            raise DataFormatError(f"{path}: has no text; a sample needs at least one question")
        return make_record(
            f"{split}_{path.stem}",
            image,
            target,
            questions,
            picture,
            answers=self._answers.get(image.name, []) if split == "train" else [],
            source="ReasonSeg",
            extra=extra_keys(content, ("text", "shapes")),
            ignore=encode_mask_png(ignore) if ignore.any() else None,
        )


def _annotations(folder: Path) -> list[Path]:
    return [path for path in visible_files(folder, "*") if path.suffix.lower() == ".json"]


def pictures_by_stem(folder: Path) -> dict[str, Path]:
    """Return the pictures directly in a folder by stem; of several with one stem, JPEG comes before PNG."""
    paths = [path for path in visible_files(folder, "*") if path.suffix.lower() in IMAGE_SUFFIXES]
    ranked = sorted(paths, key=lambda path: IMAGE_SUFFIXES.index(path.suffix.lower()), reverse=True)
    return {path.stem: path for path in ranked}


def _answers(folder: Path) -> dict[str, list[str]]:
    """Read `explanatory/*.json`, lists of `image`, `query` and `outputs`, as answers by the name of the image."""
    answers: dict[str, list[str]] = {}
    for path in visible_files(folder, "*.json"):
        try:
            for item in read_json(path):
                answers.setdefault(str(item["image"]), []).append(str(item["outputs"]))
        except (DataFormatError, KeyError, TypeError) as error:
            _log.warning("%s is not read, so its images have no answers (%s)", path, error)
    return answers


def _locate(root: Path) -> Path | None:
    """Return the outermost folder, down to two levels below `root`, that holds the splits or the samples."""
    listed = dict(folders_below(root, 3))
    pairs = [folder for folder, names in listed.items() if _has_pair(names)]
    found = {*pairs, *(folder.parent for folder in pairs)}
    return next((folder for folder in listed if folder in found), None)


def _has_pair(names: list[str]) -> bool:
    """Return whether some of the files in a folder are NAME.json beside a picture NAME."""
    stems: dict[bool, set[str]] = {True: set(), False: set()}  # by whether the file is an annotation
    for name in names:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122, a Path for each of many files takes long
        is_annotation = suffix.lower() == ".json"
        if (is_annotation or suffix.lower() in IMAGE_SUFFIXES) and not is_system_name(name):
            stems[is_annotation].add(stem)
    return not stems[True].isdisjoint(stems[False])


def draw_shapes(shapes: list[dict[str, Any]], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the shapes of an annotation as LISA's `get_mask_from_json` does.

    Returns:
        The target and the pixels to ignore, (height, width) bool each, without a common pixel.

    Raises:
        KeyError, TypeError, AttributeError: a shape has no `points` or no text as `label`.
        ValueError: a vertex is not a pair of numbers within the limits of `draw_polygon`.
    """
    drawn = [shape for shape in shapes if "flag" not in shape["label"].lower()]
    areas = [int(draw_polygon(np.zeros((height, width), np.uint8), shape["points"], 1).sum()) for shape in drawn]
    labels = np.zeros((height, width), np.uint8)
    for place in np.argsort(areas, kind="stable")[::-1]:  # of equal areas, LISA draws the last shape first
        shape = drawn[place]
        draw_polygon(labels, shape["points"], _IGNORED if "ignore" in shape["label"].lower() else _TARGET)
    return labels == _TARGET, labels == _IGNORED


register(
    SourceFormat(
        name="reasonseg",
        title="ReasonSeg: NAME.jpg beside NAME.json with texts and polygons",
        matches=_locate,
        open=ReasonSeg,
        precedence=48,
        config="reasonseg",
        about=About(
            title="ReasonSeg",
            licence="unknown",
            origin="ReasonSeg was published with LISA (arXiv 2308.00692); its images are of OpenImages and ScanNet.",
            url="https://github.com/dvlab-research/LISA",
            citation="LISA: Reasoning Segmentation via Large Language Model, arXiv 2308.00692",
        ),
        paper="https://arxiv.org/abs/2308.00692",
        how_to_get="https://github.com/dvlab-research/LISA",
        splits={"train": 239, "validation": 200, "test": 779},
    )
)
