"""Write the files of a small checkpoint: reduced weights, configuration, tokenizer, records and card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from earthreason.data.checksums import sha256_of
from earthreason.data.load import load_dataset
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.files import atomic_path, refuse_taken, write_text

from ..checkpoints import CARD, register_checkpoint, shipped_checkpoints
from ..common.quantised import save_quantised
from ..registry import PredictorOptions, build_predictor
from ..training.data import resolution_of
from ..training.records import RUN, find_record
from .card import Data, RunRecord, read_run, read_scores, stages_of, write_model_card

if TYPE_CHECKING:
    from datasets import Dataset

    from ..common.predictor import MaskPredictor

Dtype = Literal["bfloat16", "int8"]
MAX_BYTES = 15_000_000
"""Largest total size of the files: git hosts and reviewers bear it."""


def ship_checkpoint(
    run: Path,
    out: Path,
    scores: Sequence[Path] = (),
    *,
    data_dir: Path | None = None,
    data_command: str | None = None,
    dtype: Dtype = "bfloat16",
    register: bool = False,
    max_bytes: int = MAX_BYTES,
) -> int:
    """Write a checkpoint that is small enough to publish in a repository.

    Args:
        run: folder of a training run, its `final`, or a folder that this function wrote.
        out: folder to write; it must not exist, or be empty.
        scores: files of `earthreason-eval --json` with the scores of this checkpoint.
        data_dir: folder of the training data, for their licence; None is the one in the run's record.
        data_command: command that made the training data, for the card.
        dtype: `bfloat16`, or half its size: `int8` with one scale per row of a weight.
        register: also enter the folder into the index beside it.
        max_bytes: maximum size of all files, in bytes.

    Returns:
        Size of all files, in bytes.

    Raises:
        EarthReasonError: a file is missing or does not fit, the folder is taken, or the files are too large.
    """
    refuse_taken(out)
    if register:
        shipped_checkpoints(out.resolve().parent)  # a damaged index is refused before anything is written
    source, record = _find_run(run)
    facts = read_run(record)
    rows = _open_data(facts, data_dir)
    data = _describe_data(rows, data_command)
    options = PredictorOptions(checkpoint=str(source.resolve()), dtype="bfloat16" if dtype == "bfloat16" else "float32")
    predictor: MaskPredictor = build_predictor(facts.model, options)  # type: ignore[type-arg, assignment]
    if predictor.ground_resolution is None:  # a run of before checkpoints stated it
        predictor.model.config.ground_resolution = resolution_of(rows, predictor.tile_side)
    threshold = getattr(predictor.model.config, "no_target_threshold", None)
    read = [read_scores(path, facts, threshold) for path in scores]
    with atomic_path(out) as folder:
        if dtype == "int8":
            save_quantised(predictor.model, folder)
        else:
            predictor.model.save_pretrained(folder)
        predictor.processor.save_pretrained(folder)
        shutil.copyfile(record, folder / RUN)
        checkpoint = None
        for stage in stages_of(facts):
            settings = _settings_for_others(stage.run, checkpoint)
            write_text(folder / stage.settings, yaml.safe_dump(settings, sort_keys=False))
            checkpoint = f"{stage.out}/final"
        hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        write_text(folder / CARD, write_model_card(facts, data, read, config, dtype, hashes))
        size = sum(path.stat().st_size for path in folder.iterdir())
        if size > max_bytes:
            remedy = "try --dtype int8" if dtype == "bfloat16" else "train a smaller model"
            raise EarthReasonError(f"{run}: {size:,} bytes in {dtype} are more than {max_bytes:,}; {remedy}")
    if register:
        register_checkpoint(out, facts.model, _summarise(facts, data))
    return size


def _find_run(run: Path) -> tuple[Path, Path]:
    """Return the folder of the weights and the path of the run's record."""
    source = run / "final" if (run / "final").is_dir() else run
    record = find_record(source)
    if record is None:
        raise DataNotFoundError(
            f"{run}: neither it nor the folder above has a {RUN}; give the folder of a finished run"
        )
    return source, record


def _settings_for_others(facts: RunRecord, checkpoint: str | None) -> dict[str, Any]:
    """Return the settings of a run with the names of folders instead of their paths on the run's machine.

    Args:
        facts: record of the run.
        checkpoint: folder of the stage that the run started from, if any.
    """
    settings = facts.config.model_dump(mode="json")
    if checkpoint is not None:
        settings["model"]["checkpoint"] = checkpoint
    if settings["data"]["data_dir"] is not None:
        settings["data"]["data_dir"] = Path(settings["data"]["data_dir"]).name
    for key, value in settings["model"].items():
        if isinstance(value, str) and Path(value).is_absolute():
            settings["model"][key] = Path(value).name
    return settings


def _open_data(facts: RunRecord, data_dir: Path | None) -> Dataset:
    trained = facts.config.data
    place = data_dir or (Path(trained.data_dir) if trained.data_dir else None)
    if place is not None and not place.exists():
        raise DataNotFoundError(
            f"the training data are not in {place}; give their folder, or a small one made by the same command, with "
            "--data-dir, because the card states their licence and ground resolution"
        )
    return load_dataset("earthreason", trained.config, split=trained.train, data_dir=place)


def _describe_data(rows: Dataset, command: str | None) -> Data:
    info = rows.info
    title, _, origin = info.description.partition("\n")
    return Data(title=title, licence=info.license, origin=origin, command=command)


def _summarise(facts: RunRecord, data: Data) -> str:
    return f"{facts.model} with {facts.parameters / 1e6:.1f} million parameters, trained on {data.title}"
