"""Predictions from COCO results and from folders, for Python."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, DataNotFoundError, PredictionsError
from earthreason.masks.grids import Grid
from earthreason.predictions.instances import Instances, merge_instances
from earthreason.predictions.reader import PredictionsFile, PredictionSource, open_predictions
from earthreason.predictions.schema import read_record
from earthreason.predictions.segmentation import SizeOf
from earthreason.types import Prediction


@dataclass(frozen=True)
class PredictionRecords:
    """Records in memory, checked when they are read.

    Attributes:
        records: entries as in a predictions file; counts may be text, bytes or a list.
        instances: treatment of several masks for one question.
        names: sample ids by the ids of the records; None if they are the same.
    """

    records: Sequence[Mapping[str, Any]]
    instances: Instances = "error"
    names: Mapping[str, str] | None = None
    source: str = "predictions"
    grid: Grid = field(default_factory=lambda: Grid("native"))
    info: dict[str, Any] = field(default_factory=dict)

    def read(self, faults: list[str], size_of: SizeOf | None = None) -> Iterator[Prediction]:
        """Yield the valid predictions, in order."""
        predictions = self._read(faults, size_of)
        return merge_instances(predictions, faults) if self.instances == "union" else predictions

    def _read(self, faults: list[str], size_of: SizeOf | None) -> Iterator[Prediction]:
        for index, record in enumerate(self.records):
            prediction = read_record(record, f"[{index}]", size_of, self.names)
            if isinstance(prediction, Prediction):
                yield prediction
            else:
                faults.extend(prediction)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the records as JSON."""
        text = json.dumps([dict(record) for record in self.records], sort_keys=True, default=_plain)
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Convert what pycocotools and numpy put into records to JSON values."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a record holds {type(value).__name__}, which is not JSON")


def from_coco(
    results: Path | str | Sequence[Mapping[str, Any]],
    images: Path | str | Mapping[str, Any] | None = None,
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
    if isinstance(results, str | Path):
        return open_predictions(results, instances, names)
    if isinstance(results, Mapping) or not all(isinstance(record, Mapping) for record in results):
        raise PredictionsError("predictions", ["COCO results are a list of records; pass the list or its file"])
    return PredictionRecords(list(results), instances, names)


def from_folder(path: Path | str) -> PredictionsFile:
    """Take a folder, zip or `.npz` of masks named SAMPLE_ID or SAMPLE_ID__QUESTION_INDEX.

    Raises:
        DataNotFoundError: the folder or zip does not exist.
        PredictionsError: there is no valid mask.
    """
    return open_predictions(path)


def _names_of_images(images: Path | str | Mapping[str, Any]) -> dict[str, str]:
    source, content = "images", images
    if isinstance(images, str | Path):
        path = Path(images)
        source = str(path)
        if not path.is_file():
            raise DataNotFoundError(f"there is no COCO dataset {path}")
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise DataFormatError(f"{path}: not JSON: {error}; give the COCO dataset of the images") from None
    entries = content.get("images") if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
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
