"""Predictions of a long run, kept as they come, by several processes if need be.

Each process appends to a file of its own in `OUT.partial/`; what is there is not predicted again. At the end the files
become `OUT` in one atomic step and the folder goes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError
from earthreason.files import end_last_line, write_json
from earthreason.predictions import write_predictions
from earthreason.predictions.stream import text_predictions
from earthreason.predictions.writer import check_name, prediction_record
from earthreason.types import Prediction

Key = tuple[str, int]


class Journal:
    """The unfinished predictions of one run."""

    def __init__(self, out: Path, info: Mapping[str, Any], rank: int = 0) -> None:
        """Open or continue a run.

        Args:
            out: the predictions file wanted in the end.
            info: what identifies the run.
            rank: number of this process.

        Raises:
            EarthReasonError: there is an unfinished run of something else, or `out` cannot be written.
        """
        check_name(out)
        self.out, self.info, self.rank = out, dict(info), rank
        self.folder = out.with_name(out.name + ".partial")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check()

    def _check(self) -> None:
        path = self.folder / "run.json"
        if not path.exists():
            write_json(path, self.info)
            return
        before = json.loads(path.read_text())
        if before != json.loads(json.dumps(self.info)):
            changed = sorted(key for key in {*before, *self.info} if before.get(key) != self.info.get(key))
            raise EarthReasonError(
                f"{self.folder} holds an unfinished run with another {', '.join(changed)}; finish it as it was "
                "started, or delete the folder to start anew"
            )

    def read(self) -> Iterator[Prediction]:
        """What all processes have written; a line cut off by a crash is skipped."""
        for path in sorted(self.folder.glob("rank-*.jsonl")):
            yield from text_predictions(path, [])

    def done(self) -> set[Key]:
        """Questions that have their answer."""
        return {(prediction.sample_id, prediction.question_index) for prediction in self.read()}

    def write(self, predictions: Iterable[Prediction]) -> int:
        """Append predictions as they come; returns how many."""
        path = self.folder / f"rank-{self.rank}.jsonl"
        end_last_line(path)
        written = 0
        with path.open("a", encoding="utf-8") as file:
            for prediction in predictions:
                file.write(json.dumps(prediction_record(prediction)) + "\n")
                file.flush()
                written += 1
        return written

    def finish(self, order: Iterable[str]) -> int:
        """Write the predictions file, in the order of the sample ids, and remove the folder."""
        place = {sample_id: number for number, sample_id in enumerate(order)}
        found = {(p.sample_id, p.question_index): p for p in self.read()}
        ordered = sorted(found, key=lambda key: (place.get(key[0], len(place)), key[1]))
        written = write_predictions(self.out, (found[key] for key in ordered), self.info)
        shutil.rmtree(self.folder)
        return written
