"""Writing of predictions as JSON or JSONL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError
from earthreason.files import atomic_path, refuse_folder
from earthreason.types import Prediction


def prediction_record(prediction: Prediction) -> dict[str, Any]:
    """Return the JSON object of one prediction, without optional keys that are None."""
    record: dict[str, Any] = {
        "sample_id": prediction.sample_id,
        "question_index": prediction.question_index,
        "segmentation": list(prediction.targets) or prediction.segmentation,
    }
    for key in ("score", "answer", "failure"):
        if getattr(prediction, key) is not None:
            record[key] = getattr(prediction, key)
    return record


def check_name(path: Path) -> None:
    """Check the name of a predictions file before slow work begins.

    Raises:
        EarthReasonError: it ends in neither `.json` nor `.jsonl`, or it is a folder.
    """
    if path.suffix not in (".json", ".jsonl"):
        raise EarthReasonError(f"{path}: the name of a predictions file must end in .json or .jsonl")
    refuse_folder(path)


def transcripts_of(out: Path) -> Path:
    """Return the file beside predictions that has their transcripts."""
    return out.with_suffix(".transcripts.jsonl")


def write_predictions(
    path: Path | str, predictions: Iterable[Prediction], info: Mapping[str, Any] | None = None
) -> int:
    """Write predictions one at a time, atomically; return their number.

    Args:
        path: file to write; its name ends in `.json` or `.jsonl`.
        predictions: predictions, read lazily.
        info: metadata of the file.

    Raises:
        EarthReasonError: the file has another ending or is a folder.
    """
    path = Path(path)
    check_name(path)
    lines = path.suffix == ".jsonl"
    head = json.dumps(dict(info or {}), ensure_ascii=False, allow_nan=False)
    written = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{{"info": {head}}}\n' if lines else f'{{"info": {head}, "predictions": [\n')
        for prediction in predictions:
            if written and not lines:
                file.write(",\n")
            json.dump(prediction_record(prediction), file, ensure_ascii=False, allow_nan=False)
            if lines:
                file.write("\n")
            written += 1
        if not lines:
            file.write("\n]}\n")
    return written
