"""Predict a split, in one process or several. A stopped run can be resumed.

Each process appends its predictions to its own file in `OUT.partial/`; `OUT` is written at the end, atomically. The
transcripts of models that have them are kept likewise, and end beside `OUT`, named `.transcripts.jsonl`.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError
from earthreason.files import end_last_line, write_json, write_text
from earthreason.masks.grids import Grid
from earthreason.plurals import count_of
from earthreason.predictions import write_predictions
from earthreason.predictions.folder import remembered
from earthreason.predictions.predict import Questions, predict_samples
from earthreason.predictions.stream import text_predictions
from earthreason.predictions.writer import check_name, prediction_record, transcripts_of
from earthreason.progress import progress_bar
from earthreason.shards import Shard
from earthreason.types import Answer, Prediction, Predictor, Sample

from ..registry import PredictorOptions, build_predictor, check_model
from .processes import Rank, picture_threads, prefetch, this_rank

logger = logging.getLogger("earthreason.baselines")
Key = tuple[str, int]
MOST_FAILURES = 0.05
"""Share of failures to answer above which a run ends with an error."""


class Journal:
    """Unfinished predictions of one run."""

    def __init__(self, out: Path, info: Mapping[str, Any], rank: int = 0) -> None:
        """Start or resume a run.

        Args:
            out: predictions file to write at the end.
            info: settings that identify the run.
            rank: number of this process.

        Raises:
            EarthReasonError: the folder holds an unfinished run with other settings, or `out` is not a valid name.
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
                f"{self.folder} contains an unfinished run with another {', '.join(changed)}; finish it with its "
                "own settings, or delete the folder to start again"
            )

    def read(self) -> Iterator[Prediction]:
        """Yield the predictions of all processes; skip a line cut off by a crash."""
        for path in sorted(self.folder.glob("rank-*.jsonl")):
            yield from text_predictions(path, [])

    def done(self) -> set[Key]:
        """Return sample id and question index of the answered questions."""
        return {(prediction.sample_id, prediction.question_index) for prediction in self.read()}

    def write(self, predictions: Iterable[Prediction]) -> int:
        """Append predictions as they arrive; return their number."""
        path = self.folder / f"rank-{self.rank}.jsonl"
        end_last_line(path)
        end_last_line(self._transcripts)
        written = 0
        with path.open("a", encoding="utf-8") as file:
            for prediction in predictions:
                file.write(json.dumps(prediction_record(prediction)) + "\n")
                file.flush()
                written += 1
        return written

    @property
    def _transcripts(self) -> Path:
        return self.folder / f"transcripts-{self.rank}.jsonl"

    def keep_transcript(self, sample_id: str, question_index: int, answer: Answer) -> None:
        """Append the transcript of an answer, if it has one."""
        if answer.transcript:
            record = {"sample_id": sample_id, "question_index": question_index, **answer.transcript}
            with self._transcripts.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def finish(self, order: Iterable[str], mask_tokens: Sequence[str] = ()) -> int:
        """Write the predictions file and remove the folder; return the number of predictions.

        Args:
            order: sample ids in the order to write.
            mask_tokens: tokens that the model had to write for a mask; how many replies lack them is reported.

        Raises:
            EarthReasonError: over `MOST_FAILURES` of the predictions, which are written, are failures to answer.
        """
        place = {sample_id: number for number, sample_id in enumerate(order)}
        answered = {(p.sample_id, p.question_index): p for p in self.read()}
        ordered = sorted(answered, key=lambda key: (place.get(key[0], len(place)), key[1]))
        found = count_silent(answered.values(), mask_tokens) if mask_tokens else {}
        written = write_predictions(self.out, (answered[key] for key in ordered), {**self.info, **found})
        self._join_transcripts()
        shutil.rmtree(self.folder)
        report_failures(self.out, [p for p in answered.values() if p.failure is not None], written)
        return written

    def _join_transcripts(self) -> None:
        paths = sorted(self.folder.glob("transcripts-*.jsonl"))
        if paths:
            lines = [line for path in paths for line in path.read_text(encoding="utf-8").split("\n") if _is_json(line)]
            write_text(transcripts_of(self.out), "".join(f"{line}\n" for line in lines))


def _is_json(line: str) -> bool:
    """Tell whether a line is whole; a crash may have cut it off."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def report_failures(out: Path, failures: Sequence[Prediction], count: int) -> None:
    """Log how many of `count` answers in `out` are failures.

    Raises:
        EarthReasonError: there are more than `MOST_FAILURES`.
    """
    if not failures:
        return
    first = failures[0]
    told = (
        f"{out}: {len(failures):,} of {count_of(count, 'answer')} could not be read and score as wrong, such as "
        f"{first.sample_id!r}: {first.failure}; {transcripts_of(out)} has every answer"
    )
    if len(failures) > MOST_FAILURES * count:
        raise EarthReasonError(
            f"{told}; over {MOST_FAILURES:.0%} is too many to cite, so check model and --coordinates"
        )
    logger.warning("%s", told)


def count_silent(predictions: Collection[Prediction], mask_tokens: Sequence[str]) -> dict[str, Any]:
    """Count the replies without all mask tokens, which mean "no target"; log it, and return it for the file's info."""
    silent = sum(not all(token in (p.answer or "") for token in mask_tokens) for p in predictions)
    share = silent / max(1, len(predictions))
    logger.warning(
        '%d of %d replies (%.1f %%) have no %s, which counts as "no target"',
        silent,
        len(predictions),
        100 * share,
        mask_tokens[0],
    )
    return {"missing_mask_token": {"replies": silent, "of": len(predictions), "share": round(share, 4)}}


if TYPE_CHECKING:
    from datasets import Dataset
    from tqdm import tqdm


def predict_split(
    model: str,
    options: PredictorOptions,
    config: str,
    split: str,
    data_dir: Path | None,
    questions: Questions,
    out: Path,
    limit: int | None = None,
    shard: Shard | None = None,
) -> int | None:
    """Predict every question of a split, of its first `limit` samples, or of one part, that has no answer yet.

    Under torchrun each process takes every n-th sample; the first process merges the predictions. With `shard`, `out`
    has one part, and `earthreason merge` makes the whole.

    Returns:
        Number of predictions in `out`, or None in the processes that do not write it.

    Raises:
        EarthReasonError: the model is unknown, `out` is not a valid name, data is missing, `out` has an unfinished run
            with other settings, or too many answers could not be read.
    """
    check_model(model)
    check_name(out)
    rank = this_rank()
    dataset = load_dataset("earthreason", config, split=split, data_dir=data_dir)
    if limit is not None:
        dataset = dataset.select(range(min(limit, len(dataset))))

    def train_samples() -> Iterator[Sample]:
        return map(sample_of_row, load_dataset("earthreason", config, split="train", data_dir=data_dir))

    device = f"cuda:{rank.local}" if options.device == "cuda" else options.device
    fitted_to = options.train_samples or train_samples
    predictor = build_predictor(model, replace(options, device=device, train_samples=fitted_to))
    info: dict[str, Any] = {"model": model, "config": config, "split": split, "questions": questions}
    info |= remembered(data_dir, out)
    if limit is not None:
        info["limit"] = limit
    if shard is not None:
        info["shard"] = str(shard)
        dataset = dataset.select(shard.items_of(len(dataset)))
    if options.checkpoint is not None:
        info["checkpoint"] = options.checkpoint
    info |= getattr(predictor, "prediction_info", {})
    if (threshold := getattr(predictor, "no_target_threshold", None)) is not None:
        info["no_target_threshold"] = threshold
    if (task := getattr(predictor, "task", None)) is not None:
        info["task"] = task
    if getattr(predictor, "reply", None) == "generated":
        info["reply"] = "generated"
    if options.on_canvas:
        if (grid := getattr(predictor, "grid", None)) is None:
            raise EarthReasonError(f"--on-canvas is not for {model}, which has no canvas; leave it out")
        info["grid"] = grid
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
    """Predict the questions that are not yet answered in the unfinished run of `out`.

    Args:
        predictor: predictor of this process.
        dataset: complete split, or the part of it that `out` has.
        questions: `first` or `all` questions of each sample.
        out: predictions file to write.
        info: settings that identify the run, also written to `out`; `grid` is that of the masks.
        batch_size: questions per batch of the predictor.
        rank: rank of this process; None if it is the only one.

    Returns:
        Number of predictions in `out`, or None in the processes that do not write it.

    Raises:
        EarthReasonError: `out` has an unfinished run with other settings, or too many answers could not be read.
    """
    rank = rank or Rank(0, 1, 0)
    journal = Journal(out, info, rank.number)
    done = journal.done()
    own = dataset.shard(rank.count, rank.number, contiguous=False) if rank.count > 1 else dataset
    # Several batches per call, so that the predictor prepares one while it computes another.
    grid = Grid.parse(str(info.get("grid", "native")))
    bar = progress_bar(shown=rank.is_first, total=len(own), desc=str(info.get("model", "")), unit="image")
    with bar as shown:
        # Reading a row decodes its image, so the threads read rows as well.
        samples = prefetch(
            lambda n: sample_of_row(own[n]), range(len(own)), depth=4 * batch_size, threads=picture_threads()
        )
        samples = _counted(samples, shown)
        journal.write(
            predict_samples(predictor, samples, questions, 4 * batch_size, done, grid, keep=journal.keep_transcript)
        )
    _wait_for_all(rank)
    if not rank.is_first:
        return None
    written = info.get("reply") == "generated"
    return journal.finish(dataset["sample_id"], predictor.processor.tokens if written else ())  # type: ignore[attr-defined]


def _counted(samples: Iterable[Sample], bar: tqdm[Any]) -> Iterator[Sample]:
    """Yield samples, and count each when the next is asked for."""
    for sample in samples:
        yield sample
        bar.update()


def _wait_for_all(rank: Rank) -> None:
    if rank.count == 1:
        return
    import torch.distributed as dist

    dist.init_process_group("gloo")
    dist.barrier()
    dist.destroy_process_group()
