"""Three neighbours of the release, brought to its columns: RRSIS-D, RefSegRS and ReasonSeg-style JSON.

Where the readers of published models are careless, these are not: an image is looked up by its image id and not by its
position or the reference's id, masks are drawn at the image's own size, and a line that cannot be read is an error.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from earthreason.data.pickles import load_pickle
from earthreason.data.pictures import check_sizes, mask_of, rgb_content
from earthreason.data.release import FROM_DISK, IMAGE_SUFFIXES
from earthreason.data.schema import SPLITS, Record, encode_mask_png, extra_keys
from earthreason.errors import DataFormatError, DataNotFoundError, RLEError
from earthreason.masks.rle import decode_rle
from earthreason.types import RLE

_PHRASE = re.compile(r"(\d+)\s+(\S.*)")
Splits = dict[str, list[Any]]


def find_file(root: Path, name: str, what: str) -> Path:
    """The file of that name, however deep below `root`.

    Raises:
        DataNotFoundError: there is none.
    """
    if not root.is_dir():
        raise DataNotFoundError(f"there is no folder {root}")
    for path in sorted(root.rglob("*")):
        if path.name == name:
            return path
    raise DataNotFoundError(f"{root} holds no {what}: there is no file {name} in it")


def make_record(
    sample_id: str, image: Path, mask: np.ndarray, question: str | list[str], content: bytes | None = None, **facts: Any
) -> Record:
    """A record of a picture, a mask and what is asked; the picture is read from its file unless its content is given.

    Raises:
        DataFormatError: the picture is not readable or of another size.
    """
    picture, (height, width) = rgb_content(image.read_bytes() if content is None else content, image)
    check_sizes(mask, (height, width), Path(f"mask of {sample_id}"), image)
    return Record(
        sample_id=sample_id,
        image=picture,
        mask=encode_mask_png(mask),
        height=height,
        width=width,
        is_empty=not mask.any(),
        questions=[question] if isinstance(question, str) else question,
        **facts,
    )


def draw_polygons(polygons: list[list[float]], height: int, width: int) -> np.ndarray:
    """Fill COCO polygons [x1, y1, x2, y2, ...] as pycocotools does: (height, width) bool."""
    usable = [polygon for polygon in polygons if len(polygon) >= 6]
    if not usable:
        return np.zeros((height, width), bool)
    return coco.decode(coco.merge(coco.frPyObjects(usable, height, width))).astype(bool)


def mask_of_annotation(segmentation: Any, height: int, width: int) -> np.ndarray:
    """The mask of a COCO annotation: polygons, an RLE, or a list of RLEs; several are united.

    Raises:
        DataFormatError: it is none of these.
    """
    try:
        if isinstance(segmentation, dict):
            segmentation = [segmentation]
        if segmentation and isinstance(segmentation[0], dict):
            parts = [decode_rle(_compressed(part, height, width)) for part in segmentation]
            return np.logical_or.reduce(parts)
        return draw_polygons([[float(value) for value in polygon] for polygon in segmentation], height, width)
    except (RLEError, TypeError, ValueError, KeyError) as error:
        raise DataFormatError(f"not polygons and not an RLE of {height}x{width}: {error}") from None


def _compressed(rle: Mapping[str, Any], height: int, width: int) -> RLE:
    counts = rle["counts"]
    if list(rle["size"]) != [height, width]:
        raise ValueError(f"its size is {rle['size']}")
    if isinstance(counts, list):
        if sum(counts) != height * width or min(counts, default=0) < 0:
            raise ValueError("its runs do not fill the mask")
        counts = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
    return RLE(size=[height, width], counts=counts.decode("ascii") if isinstance(counts, bytes) else counts)


class RRSISD:
    """RRSIS-D: `refs(unc).p`, `instances.json` and JPEG images (REFER's layout)."""

    name = "rrsis-d"

    def __init__(self, root: Path) -> None:
        references = load_pickle(find_file(root, "refs(unc).p", "RRSIS-D"))
        instances = _read_json(find_file(root, "instances.json", "RRSIS-D"))
        try:
            self._images = {image["id"]: image for image in instances["images"]}
            self._annotations = {annotation["id"]: annotation for annotation in instances["annotations"]}
            self._categories = {c["id"]: c["name"] for c in instances.get("categories", [])}
            self._references: Splits = {split: [] for split in SPLITS}
            for reference in references:
                self._references[FROM_DISK[reference["split"]]].append(reference)
        except (KeyError, TypeError) as error:
            raise DataFormatError(f"{root}: refs(unc).p or instances.json lacks {error}") from None
        self._files = {path.name: path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".png")}
        self.counts = {split: len(rows) for split, rows in self._references.items() if rows}

    def read(self, split: str) -> Iterator[Record]:
        """One record per reference; all its sentences are questions."""
        for reference in self._references[split]:
            label = f"reference {reference['ref_id']}"
            try:
                image = self._images[reference["image_id"]]
                annotation = self._annotations[reference["ann_id"]]
                path = self._files[Path(image["file_name"]).name]
                questions = [str(sentence.get("raw") or sentence["sent"]) for sentence in reference["sentences"]]
            except KeyError as error:
                raise DataFormatError(f"RRSIS-D {label}: {error} is not there") from None
            with Image.open(path) as picture:
                width, height = picture.size
            try:
                mask = mask_of_annotation(annotation["segmentation"], height, width)
            except DataFormatError as error:
                raise DataFormatError(f"RRSIS-D {label}: {error}") from None
            yield make_record(
                f"rrsisd_{reference['ref_id']}", path, mask, questions, source="RRSIS-D",
                category=self._categories.get(reference.get("category_id", annotation.get("category_id"))),
            )  # fmt: skip


class RefSegRS:
    """RefSegRS: `output_phrase_{split}.txt`, `images/*.tif`, `masks/*.tif`; any non-zero mask pixel is target."""

    name = "refsegrs"

    def __init__(self, root: Path) -> None:
        folder = find_file(root, "output_phrase_train.txt", "RefSegRS").parent
        self._images, self._masks = folder / "images", folder / "masks"
        self._lines: Splits = {}
        for name, split in FROM_DISK.items():
            path = folder / f"output_phrase_{name}.txt"
            if path.is_file():
                self._lines[split] = list(_phrases(path))
        self.counts = {split: len(lines) for split, lines in self._lines.items()}

    def read(self, split: str) -> Iterator[Record]:
        """One record per phrase."""
        seen: Counter[str] = Counter()
        for number, phrase in self._lines[split]:
            image, mask = (folder / f"{number}.tif" for folder in (self._images, self._masks))
            for path in (image, mask):
                if not path.is_file():
                    raise DataFormatError(f"{path} is missing; output_phrase names it")
            seen[number] += 1
            sample_id = f"refsegrs_{split}_{number}_{seen[number]}"
            yield make_record(sample_id, image, mask_of(mask.read_bytes(), mask), phrase, source="RefSegRS")


def _phrases(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        match = _PHRASE.fullmatch(line.strip())
        if match is None:
            raise DataFormatError(f"{path} line {number}: expected a number and a phrase, found {line.strip()[:40]!r}")
        yield match[1], match[2]


class ReasonSeg:
    """ReasonSeg-style folders: `NAME.jpg` beside `NAME.json` with `text` and polygon `shapes`.

    Shapes are drawn by falling area: `target` is set, anything labelled `ignore` is cut out, flags are skipped.
    """

    name = "reasonseg"

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise DataNotFoundError(f"there is no folder {root}")
        folders = {split: root / name for name, split in FROM_DISK.items() if (root / name).is_dir()}
        folders = folders or {"test": root}
        self._files: Splits = {split: sorted(folder.glob("*.json")) for split, folder in folders.items()}
        self.counts = {split: len(files) for split, files in self._files.items() if files}
        if not self.counts:
            raise DataNotFoundError(f"{root} holds no ReasonSeg files: expected NAME.jpg beside NAME.json")

    def read(self, split: str) -> Iterator[Record]:
        """One record per image."""
        for path in self._files[split]:
            image = next((p for p in (path.with_suffix(suffix) for suffix in IMAGE_SUFFIXES) if p.is_file()), None)
            if image is None:
                raise DataFormatError(f"{path}: there is no picture of that name beside it")
            content = _read_json(path)
            try:
                texts, shapes = [str(text) for text in content["text"]], list(content["shapes"])
                with Image.open(image) as picture:
                    mask = _draw_shapes(shapes, *picture.size[::-1])
            except (KeyError, TypeError, ValueError, OSError) as error:
                raise DataFormatError(f"{path}: not a ReasonSeg annotation: {error}") from None
            extra = extra_keys(content, ("text", "shapes"))
            yield make_record(f"{split}_{path.stem}", image, mask, texts, source="ReasonSeg", extra=extra)


def holds_pictures_with_json(root: Path) -> bool:
    """Whether a folder, or one right below it, has NAME.json with a picture of that name beside it."""
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


def _read_json(path: Path) -> Any:
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")  # some files of ReasonSeg are Windows-1252
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"{path}: not JSON ({error})") from None
