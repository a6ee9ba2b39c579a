"""Predictions from COCO results and from folders, for Python."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, DataNotFoundError, PredictionsError
from earthreason.files import path_of
from earthreason.masks.grids import Grid
from earthreason.predictions.instances import Instances, check_reading, merge_instances
from earthreason.predictions.reader import PredictionsFile, PredictionSource, open_predictions
from earthreason.predictions.schema import PredictionRecord, read_record
from earthreason.predictions.segmentation import SizeOf
from earthreason.types import Prediction

_JSON = (str, int, float, type(None), bytes)
_KEYS = {"image_id", *PredictionRecord.model_fields}


@dataclass(frozen=True)
class PredictionRecords:
    """Records in memory, checked when they are read.

    Attributes:
        records: entries as in a predictions file; counts may be text, bytes or a list, and numbers those of numpy.
        instances: treatment of several masks for one question.
        names: sample ids by the ids of the records; None if they are the same.
    """

    records: Sequence[Mapping[str, Any]]
    instances: Instances = "error"
    names: Mapping[str, str] | None = None
    source: str = "predictions"
    grid: Grid = field(default_factory=lambda: Grid("native"))
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_reading(self.instances, self.names)

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterator[Prediction]:
        """Yield the valid predictions, in order."""
        predictions = self._read(faults, size_of)
        return merge_instances(predictions, faults) if self.instances == "union" else predictions

    def _read(self, faults: list[str], size_of: SizeOf | None) -> Iterator[Prediction]:
        for index, record in enumerate(self.records):
            prediction = read_record(plain_record(record), f"[{index}]", size_of, self.names)
            if isinstance(prediction, Prediction):
                yield prediction
            else:
                faults.extend(prediction)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the records as JSON, without keys that are not read."""
        read = [{name: value for name, value in plain_record(r).items() if name in _KEYS} for r in self.records]
        return hashlib.sha256(json.dumps(read, sort_keys=True, default=_as_json).encode()).hexdigest()


def plain_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as a predictions file has it: other mappings become dicts, other numbers Python's."""
    return {
        name: value if name not in _KEYS or type(value) in _JSON else _plain(value) for name, value in record.items()
    }


def _plain(value: Any) -> Any:
    if type(value) in _JSON:
        return value
    if isinstance(value, Mapping):
        return {name: _plain_size(part) if name == "size" else _plain(part) for name, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [_plain(part) for part in value]
    if isinstance(value, list) and value and isinstance(value[0], tuple | np.ndarray):  # polygons
        return [np.asarray(ring).tolist() for ring in value]
    return plain_scalar(value)


def plain_scalar(value: Any) -> Any:
    """Return the Python value of a number of numpy, or of a tensor without axes; other values as they are."""
    try:
        return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    except RuntimeError:  # a tensor of the meta device has no value
        return value


def _plain_size(size: Any) -> Any:
    if type(size) is list and all(type(side) is int for side in size):
        return size
    # Rows of `datasets` in torch format have tensors here.
    size = size.tolist() if getattr(size, "ndim", 0) == 1 else size
    return [_plain(side) for side in size] if isinstance(size, list | tuple) else size


def _as_json(value: Any) -> Any:
    """Convert the counts of pycocotools and numpy to JSON values."""
    return value.decode("latin-1") if isinstance(value, bytes) else value.tolist()


def from_coco(
    results: str | os.PathLike[str] | Iterable[Mapping[str, Any]],
    images: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    instances: Instances = "error",
) -> PredictionSource:
    """Take predictions in COCO's results format: `[{"image_id", "segmentation", ...}, ...]`.

    Args:
        results: file or list. Masks are compressed or uncompressed RLE, or polygons.
        images: COCO dataset, as a file or its content, if `image_id` is a number and the ground truth names samples by
            the stems of the file names: `{"images": [{"id", "file_name"}, ...]}`.
        instances: treatment of several results for one image: `error` refuses them, `union` merges them.

    Raises:
        DataNotFoundError: a file does not exist.
        PredictionsError: the file has faults and no valid prediction.
        DataFormatError: `images` is not a COCO dataset, or two of its images have the same stem.
    """
    names = None if images is None else _names_of_images(images)
    if isinstance(results, str | os.PathLike):
        return open_predictions(results, instances, names)
    try:
        records = None if isinstance(results, Mapping) else list(results)
    except TypeError:
        records = None
    if records is None or not all(isinstance(record, Mapping) for record in records):
        raise PredictionsError("predictions", ["COCO results are a list of records; pass the list or its file"])
    return PredictionRecords(records, instances, names)


def from_folder(path: str | os.PathLike[str]) -> PredictionsFile:
    """Take a folder, zip or `.npz` of masks named SAMPLE_ID or SAMPLE_ID__QUESTION_INDEX.

    Raises:
        DataNotFoundError: the folder or zip does not exist.
        PredictionsError: there is no valid mask.
    """
    return open_predictions(path)


def _names_of_images(images: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, str]:
    source, content = "images", images
    if isinstance(images, str | os.PathLike):
        path = path_of(images, "images")
        source = str(path)
        if not path.is_file():
            raise DataNotFoundError(f"there is no COCO dataset {path}")
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise DataFormatError(f"{path}: not JSON: {error}; give the COCO dataset of the images") from None
    entries: Any = content.get("images") if isinstance(content, Mapping) else None
    if not isinstance(entries, list | tuple):
        raise DataFormatError(f'{source}: a COCO dataset has {{"images": [{{"id", "file_name"}}, ...]}}')
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    for index, entry in enumerate(entries):
        try:
            image_id, stem = str(entry["id"]), PurePosixPath(entry["file_name"]).stem
        except (KeyError, TypeError):
            raise DataFormatError(f"{source}: images[{index}] needs 'id' and 'file_name'") from None
        if image_id in names or stem in ids:
            other = f"id {image_id}" if image_id in names else f"the file stem {stem!r}"
            raise DataFormatError(f"{source}: images[{index}] has {other}, as another image; ids and stems are unique")
        names[image_id], ids[stem] = stem, image_id
    return names
