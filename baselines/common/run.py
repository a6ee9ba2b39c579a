"""Predict a split, in one process or several. A stopped run can be resumed; the file is written in one step at the end.

Each process appends its predictions to a file of its own in `OUT.partial/` and does not repeat what is there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from baselines.common.processes import Rank, picture_threads, prefetch, this_rank
from baselines.registry import PredictorOptions, build_predictor, check_model
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError
from earthreason.files import end_last_line, write_json
from earthreason.predictions import write_predictions
from earthreason.predictions.predict import Questions, predict_samples
from earthreason.predictions.stream import text_predictions
from earthreason.predictions.writer import check_name, prediction_record
from earthreason.types import Prediction, Predictor, Sample

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


if TYPE_CHECKING:
    from datasets import Dataset


def predict_split(
    model: str,
    options: PredictorOptions,
    config: str,
    split: str,
    data_dir: Path | None,
    questions: Questions,
    out: Path,
) -> int | None:
    """Predict every question that has no answer yet.

    Under torchrun each process takes every n-th sample; the first one joins their predictions.

    Returns:
        How many predictions `out` has, or None in the processes that do not write it.

    Raises:
        EarthReasonError: the model, the name of `out`, the data or an unfinished run does not fit; says what to do.
    """
    check_model(model)
    check_name(out)
    rank = this_rank()
    dataset = load_dataset("earthreason", config, split=split, data_dir=data_dir)

    def train_samples() -> Iterator[Sample]:
        return map(sample_of_row, load_dataset("earthreason", config, split="train", data_dir=data_dir))

    device = f"cuda:{rank.local}" if options.device == "cuda" else options.device
    predictor = build_predictor(model, replace(options, device=device, train_samples=train_samples))
    info: dict[str, Any] = {"model": model, "config": config, "split": split, "questions": questions}
    if options.checkpoint is not None:
        info["checkpoint"] = options.checkpoint
    if (threshold := getattr(predictor, "no_target_threshold", None)) is not None:
        info["no_target_threshold"] = threshold
    return predict_rows(predictor, dataset, questions, out, info, options.batch_size, rank)


def predict_rows(
    predictor: Predictor,
    dataset: Dataset,
    questions: Questions,
    out: Path,
    info: Mapping[str, Any],
    batch_size: int = 8,
    rank: Rank | None = None,
) -> int | None:
    """Predict every question of a split that has no answer yet in the unfinished run of `out`.

    Args:
        predictor: of this process.
        dataset: the whole split.
        questions: the first of every sample, or all.
        out: predictions file.
        info: goes into it, and identifies the run.
        batch_size: questions that the predictor takes at a time.
        rank: of this process among several; None is the only one.

    Returns:
        How many predictions `out` has, or None in the processes that do not write it.

    Raises:
        EarthReasonError: `out` holds an unfinished run of something else.
    """
    rank = rank or Rank(0, 1, 0)
    journal = Journal(out, info, rank.number)
    done = journal.done()
    own = dataset.shard(rank.count, rank.number, contiguous=False) if rank.count > 1 else dataset
    numbers = tqdm(range(len(own)), desc=str(info.get("model", "")), unit="image", disable=not rank.is_first)
    # A row is decoded where it is read, so the threads read it, too.
    samples = prefetch(lambda n: sample_of_row(own[n]), numbers, depth=4 * batch_size, threads=picture_threads())
    # Several batches a call, so that the predictor can prepare one while it computes another.
    journal.write(predict_samples(predictor, samples, questions, 4 * batch_size, skip=done))
    _wait_for_all(rank)
    if not rank.is_first:
        return None
    return journal.finish(dataset["sample_id"])


def _wait_for_all(rank: Rank) -> None:
    if rank.count == 1:
        return
    import torch.distributed as dist

    dist.init_process_group("gloo")
    dist.barrier()
    dist.destroy_process_group()
