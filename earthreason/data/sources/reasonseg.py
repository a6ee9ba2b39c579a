"""Read ReasonSeg (LISA, arXiv 2308.00692) and similar datasets: pictures beside JSON files with texts and polygons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.data.about import About
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.base import FROM_DISK, IMAGE_SUFFIXES, SourceFormat, make_record, read_json, register
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.masks.drawing import draw_polygon
from earthreason.masks.png import encode_mask_png

_TARGET, _IGNORED = 1, 255


class ReasonSeg:
    """Samples of `NAME.jpg` beside `NAME.json` with `text` and polygon `shapes`.

    Shapes are drawn as LISA draws them: those that cover more pixels first, with `ignore` over or under `target`, and
    without flags.
    """

    name = "reasonseg"

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataNotFoundError(f"there is no folder {root}")
        folders = {split: root / name for name, split in FROM_DISK.items() if (root / name).is_dir()}
        folders = folders or {"test": root}
        self._files: dict[str, list[Path]] = {split: sorted(folder.glob("*.json")) for split, folder in folders.items()}
        self.counts = {split: len(files) for split, files in self._files.items() if files}
        if not self.counts:
            raise DataNotFoundError(f"{root} contains no ReasonSeg files: expected NAME.jpg beside NAME.json")

    def read(self, split: str) -> Iterator[Record]:
        """Read one record per image."""
        for path in self._files[split]:
            image = next((p for p in (path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES) if p.is_file()), None)
            if image is None:
                raise DataFormatError(f"{path}: there is no picture of that name beside it")
            content = read_json(path)
            try:
                texts, shapes = [str(text) for text in content["text"]], list(content["shapes"])
                with Image.open(image) as picture:
                    target, ignore = draw_shapes(shapes, *picture.size[::-1])
            except (KeyError, TypeError, ValueError, OSError) as error:
                raise DataFormatError(f"{path}: not a ReasonSeg annotation: {error}") from None
            extra = extra_keys(content, ("text", "shapes"))
            ignored = encode_mask_png(ignore) if ignore.any() else None
            sample_id = f"{split}_{path.stem}"
            yield make_record(sample_id, image, target, texts, source="ReasonSeg", extra=extra, ignore=ignored)


def holds_pictures_with_json(root: Path) -> bool:
    """Return whether a folder, or a direct subfolder, contains NAME.json beside a picture NAME."""
    return any(
        path.with_suffix(suffix).is_file()
        for pattern in ("*.json", "*/*.json")
        for path in root.glob(pattern)
        for suffix in IMAGE_SUFFIXES
    )


def draw_shapes(shapes: list[dict[str, Any]], height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the shapes of an annotation as LISA's `get_mask_from_json` does.

    Returns:
        The target and the pixels to ignore, (height, width) bool each, without a common pixel.

    Raises:
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
        matches=holds_pictures_with_json,
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
