"""Predict a split: in one process or under torchrun, resumable, written in one atomic step at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from baselines.common.cores import picture_threads
from baselines.common.journal import Journal
from baselines.common.prefetch import prefetch
from baselines.common.ranks import Rank, this_rank
from baselines.common.registry import PredictorOptions, build_predictor, check_model
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.predictions.predict import Questions, predict_samples
from earthreason.predictions.writer import check_name
from earthreason.types import Predictor, Sample

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
