"""Merge the predictions of parts of a split to the file that one process would have written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError, PredictionsError
from earthreason.files import atomic_path
from earthreason.predictions.folder import moved
from earthreason.predictions.reader import PredictionsFile, open_predictions
from earthreason.predictions.writer import check_name, transcripts_of, write_predictions
from earthreason.shards import Shard, check_complete
from earthreason.types import Prediction

_TALLY = "missing_mask_token"
"""Key of `info` that counts replies, so that the counts of parts add up."""


@dataclass(frozen=True)
class _Part:
    shard: Shard
    file: PredictionsFile


def merge_predictions(paths: Sequence[Path], out: Path) -> int:
    """Write the predictions of all parts in the order of the split; return their number.

    The file is equal, byte for byte, to the one that `predict` writes without `--shard`, if the model's answers do not
    depend on the other questions of a batch. Transcripts beside the parts are joined beside `out`.

    Args:
        paths: files of `predict --shard`, in any order.
        out: file to write; its name ends in `.json` or `.jsonl`.

    Raises:
        PredictionsError: a part has faults, or a question is in two parts.
        EarthReasonError: a file is no part, a part is missing or given twice, or the parts were made with different
            settings; names it.
    """
    check_name(out)
    parts = sorted(map(_open_part, paths), key=lambda part: part.shard.number)
    check_complete((part.file.source, part.shard) for part in parts)
    info = common_info([(part.file.source, moved(part.file.info, part.file.path, out)) for part in parts])
    written = write_predictions(out, _read_all(parts), info)
    _join(map(transcripts_of, (part.file.path for part in parts)), transcripts_of(out))
    return written


def _open_part(path: Path) -> _Part:
    file = open_predictions(path)
    shard = file.info.get("shard")
    if not isinstance(shard, str):
        raise EarthReasonError(f"{path}: not a part of predictions: its info has no shard; `predict --shard` writes it")
    return _Part(Shard.parse(shard), file)


def common_info(infos: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the info that all parts share, without the part, and with the sums of what they counted.

    Args:
        infos: name of each file, and its info.

    Raises:
        EarthReasonError: a part was made with other settings than the first; names it and what differs.
    """
    shared = [{key: value for key, value in info.items() if key not in ("shard", _TALLY)} for _, info in infos]
    for (name, _), info in zip(infos, shared, strict=True):
        changed = sorted(key for key in {*info, *shared[0]} if info.get(key) != shared[0].get(key))
        if changed:
            raise EarthReasonError(
                f"{name}: made with another {', '.join(changed)} than {infos[0][0]}; predict it again with the "
                "settings of the others"
            )
    tallies = [info[_TALLY] for _, info in infos if _TALLY in info]
    if not tallies:
        return shared[0]
    replies, questions = (sum(tally[name] for tally in tallies) for name in ("replies", "of"))
    return {**shared[0], _TALLY: {"replies": replies, "of": questions, "share": round(replies / max(1, questions), 4)}}


def _read_all(parts: Iterable[_Part]) -> Iterator[Prediction]:
    place: dict[tuple[str, int], str] = {}
    for part in parts:
        faults: list[str] = []
        for prediction in part.file.read(faults):
            key = prediction.sample_id, prediction.question_index
            other = place.setdefault(key, part.file.source)
            if other != part.file.source:
                raise PredictionsError(
                    part.file.source, [f"sample {key[0]!r} question {key[1]} is in {other} too; divide one split once"]
                )
            yield prediction
        if faults:
            raise PredictionsError(part.file.source, faults)


def _join(files: Iterable[Path], out: Path) -> None:
    found = [file for file in files if file.is_file()]
    if not found:
        return
    with atomic_path(out) as temporary, temporary.open("wb") as target:
        for file in found:
            target.write(file.read_bytes())
