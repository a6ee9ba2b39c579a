"""EarthReason in FiftyOne: rows and predictions as samples, and FiftyOne's masks as predictions.

Copy this file beside your code. It needs `earthreason`; only `samples_of` needs `fiftyone`, of which 1.22.1 was run.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from earthreason import evaluate
from earthreason.data.exports import file_stem
from earthreason.data.schema import sample_of_row
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import refuse_taken
from earthreason.masks.rle import decode_rle
from earthreason.metrics.values import as_rles, unite_targets

if TYPE_CHECKING:
    import fiftyone

MASK_TARGETS = {255: "target"}
"""Names of the values of a mask, for `dataset.default_mask_targets`."""
FACTS = ("sample_id", "questions", "answers", "is_empty", "category", "ground_resolution", "source", "reasoning_type")
"""Columns that become fields of a FiftyOne sample."""


def write_segmentations(rows: Iterable[Mapping[str, Any]], folder: str | Path) -> int:
    """Write rows as FiftyOne's `ImageSegmentationDirectory`: `data/ID.png` and `labels/ID.png`.

    The form has no place for texts; `samples_of` keeps them.

    Returns:
        Number of samples.

    Raises:
        EarthReasonError: `folder` is not empty, an id is no file name, or the labels are hidden.
    """
    folder = Path(folder)
    refuse_taken(folder)
    count = 0
    for row in rows:
        sample = sample_of_row(row)
        _save(sample.image, folder / "data", sample.sample_id)
        _save(_picture(sample.mask), folder / "labels", sample.sample_id)
        count += 1
    return count


def samples_of(
    rows: Iterable[Mapping[str, Any]], folder: str | Path, predictions: Mapping[str, Any] | None = None
) -> Iterator[fiftyone.Sample]:
    """Yield a FiftyOne sample for each row, for `dataset.add_samples`.

    Its fields are `ground_truth` and, where a model answered, `prediction` (both `Segmentation`), `iou`, and the texts
    and facts of the row.

    Args:
        rows: a split of `load_dataset`.
        folder: folder for the pictures and masks, which FiftyOne reads from disk; it must be absent or empty.
        predictions: masks by sample id, as for `earthreason.evaluate`; None means "no target". `iou` is that of the
            protocol `native`, so pixels that count nowhere are left out.

    Raises:
        EarthReasonError: `folder` is not empty, an id is no file name, the labels are hidden, or a mask has an invalid
            form or another size than the image.
    """
    import fiftyone

    folder = Path(folder)
    refuse_taken(folder)
    for row in rows:
        sample = sample_of_row(row)
        name, truth = sample.sample_id, sample.mask
        path = _save(sample.image, folder / "data", name)
        fields = {fact: row[fact] for fact in FACTS if row.get(fact) is not None}
        mask_path = _save(_picture(truth), folder / "ground_truth", name)
        fields["ground_truth"] = fiftyone.Segmentation(mask_path=mask_path)
        if predictions is not None and name in predictions:
            given = predictions[name]
            answer = np.zeros_like(truth) if given is None else decode_rle(unite_targets(as_rles(given))[0])
            judged = evaluate({name: given}, [sample], "native", resamples=0)
            fields["iou"] = float(judged.per_sample["iou"].iloc[0])
            fields["prediction"] = fiftyone.Segmentation(mask_path=_save(_picture(answer), folder / "prediction", name))
        yield fiftyone.Sample(filepath=path, **fields)


def masks_of_samples(samples: Iterable[fiftyone.Sample], field: str) -> dict[str, np.ndarray | None]:
    """Return the masks in a `Segmentation` field as `earthreason.evaluate` takes them, by sample id.

    A sample without a mask there means "no target".
    """
    masks: dict[str, np.ndarray | None] = {}
    for sample in samples:
        label = sample[field]
        mask = None if label is None else label.get_mask()
        masks[_id_of(sample.filepath, sample["sample_id"] if sample.has_field("sample_id") else None)] = mask
    return masks


def masks_of_export(folder: str | Path, field: str) -> dict[str, np.ndarray | list[np.ndarray] | None]:
    """Read the masks of a field from a folder that FiftyOne exported as `FiftyOneDataset`.

    Neither FiftyOne nor its database is needed. Masks of detections are placed to the pixel; FiftyOne's own
    `to_segmentation` can lose a row or column of them.

    Returns:
        A (height, width) array of a `Segmentation`, or a list of them of `Detections`, by sample id, or by the stem of
        the picture where samples have no `sample_id`; None, "no target", where a sample has no mask.

    Raises:
        DataNotFoundError: the folder has no `samples.json`.
        DataFormatError: no sample has the field, it holds other labels, or a detection has no mask.
    """
    folder = Path(folder)
    if not (folder / "samples.json").is_file():
        raise DataNotFoundError(f"{folder} is no export of FiftyOne: it has no samples.json")
    samples = json.loads((folder / "samples.json").read_text(encoding="utf-8"))["samples"]
    if not any(field in sample for sample in samples):
        labels = sorted({name for sample in samples for name, value in sample.items() if _class_of(value)})
        raise DataFormatError(
            f"{folder}: no sample has a field {field!r}; labels are in: {', '.join(labels) or 'none'}"
        )
    masks: dict[str, np.ndarray | list[np.ndarray] | None] = {}
    for sample in samples:
        label, name = sample.get(field), _id_of(sample["filepath"], sample.get("sample_id"))
        where = f"{folder}: {field!r} of sample {name!r}"
        if label is None:
            masks[name] = None
        elif _class_of(label) == "Segmentation":
            masks[name] = _mask_of(label, folder)
        elif _class_of(label) == "Detections":
            masks[name] = _placed(label["detections"], folder, folder / sample["filepath"], where) or None
        else:
            raise DataFormatError(f"{where} holds {_class_of(label) or 'no label'}; give Segmentation or Detections")
    return masks


def _placed(found: list[dict[str, Any]], folder: Path, picture: Path, where: str) -> list[np.ndarray]:
    """Place the masks of detections, which reach over their boxes only, on the image."""
    if not found:
        return []
    with Image.open(picture) as opened:
        width, height = opened.size
    masks = []
    for detection in found:
        part = _mask_of(detection, folder)
        if part is None:
            raise DataFormatError(f"{where} has a box without a mask, which cannot be scored; add masks")
        left, top = round(detection["bounding_box"][0] * width), round(detection["bounding_box"][1] * height)
        if top + part.shape[0] > height or left + part.shape[1] > width:
            raise DataFormatError(f"{where} has a mask that reaches over the image of {width} x {height} pixels")
        mask = np.zeros((height, width), bool)
        mask[top : top + part.shape[0], left : left + part.shape[1]] = part != 0
        masks.append(mask)
    return masks


def _mask_of(label: Mapping[str, Any], folder: Path) -> np.ndarray | None:
    if packed := label.get("mask"):  # a zlib-packed file of numpy
        content = zlib.decompress(base64.b64decode(packed["$binary"]["base64"]))
        return np.load(io.BytesIO(content), allow_pickle=False)
    if path := label.get("mask_path"):
        with Image.open(folder / path) as picture:  # an absolute path stays as it is
            return np.asarray(picture)
    return None


def _class_of(value: Any) -> str | None:
    return value.get("_cls") if isinstance(value, dict) else None


def _id_of(filepath: str, stated: str | None) -> str:
    return stated or Path(filepath).stem


def _picture(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(np.where(mask != 0, 255, 0).astype(np.uint8))


def _save(picture: Image.Image, folder: Path, sample_id: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / f"{file_stem(sample_id)}.png"
    picture.save(path)
    return str(path)
