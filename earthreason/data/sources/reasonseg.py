"""Read ReasonSeg (LISA, arXiv 2308.00692) and similar datasets: pictures beside JSON files with texts and polygons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from earthreason.data.about import OWN_DATA
from earthreason.data.schema import Record, extra_keys
from earthreason.data.sources.base import FROM_DISK, IMAGE_SUFFIXES, SourceFormat, make_record, read_json, register
from earthreason.errors import DataFormatError, DataNotFoundError


class ReasonSeg:
    """Samples of `NAME.jpg` beside `NAME.json` with `text` and polygon `shapes`.

    Shapes are drawn in order of decreasing area: `target` is set, `ignore` is cleared, and flags are skipped.
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
                    mask = _draw_shapes(shapes, *picture.size[::-1])
            except (KeyError, TypeError, ValueError, OSError) as error:
                raise DataFormatError(f"{path}: not a ReasonSeg annotation: {error}") from None
            extra = extra_keys(content, ("text", "shapes"))
            yield make_record(f"{split}_{path.stem}", image, mask, texts, source="ReasonSeg", extra=extra)


def holds_pictures_with_json(root: Path) -> bool:
    """Return whether a folder, or a direct subfolder, contains NAME.json beside a picture NAME."""
    return any(
        path.with_suffix(suffix).is_file()
        for pattern in ("*.json", "*/*.json")
        for path in root.glob(pattern)
        for suffix in IMAGE_SUFFIXES
    )


def _draw_shapes(shapes: list[dict[str, Any]], height: int, width: int) -> np.ndarray:
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    polygons = [(shape["label"].lower(), [(float(x), float(y)) for x, y in shape["points"]]) for shape in shapes]
    for label, points in sorted(polygons, key=lambda item: -_area(item[1])):
        if "flag" not in label and len(points) > 2:
            fill = 0 if "ignore" in label else 1
            draw.polygon(points, fill=fill, outline=fill)
    return np.asarray(canvas).astype(bool)


def _area(points: list[tuple[float, float]]) -> float:
    x, y = np.array(points).T if points else np.zeros((2, 0))
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


register(
    SourceFormat(
        name="reasonseg",
        title="ReasonSeg: NAME.jpg beside NAME.json with texts and polygons",
        matches=holds_pictures_with_json,
        open=ReasonSeg,
        precedence=48,
        config="reasonseg",
        about=OWN_DATA.stated(title="ReasonSeg"),
        paper="https://arxiv.org/abs/2308.00692",
        how_to_get="https://github.com/dvlab-research/LISA",
    )
)
