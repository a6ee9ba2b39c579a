"""The ground truth that a command scores against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

if TYPE_CHECKING:
    from earthreason.data.omissions import Tolerance
    from earthreason.metrics.references import References
    from earthreason.reports.evaluation import SceneLoader

GroundTruthOption = Annotated[
    Path | None,
    typer.Option(
        help='Score against your own masks: a file {"samples": [{"sample_id", "segmentation"}]}, or a folder or zip.'
    ),
]


def chosen_split(info: dict[str, Any], config: str | None, split: str | None) -> tuple[str, str]:
    """Return configuration and split: the options given, else those in the predictions' `info`, else the defaults."""
    return config or str(info.get("config") or "default"), split or str(info.get("split") or "test")


def chosen_limit(info: dict[str, Any], limit: int | None) -> int | None:
    """Return the number of samples to score: the option given, else that of the predictions' `info`, else all."""
    stated = info.get("limit")
    return stated if limit is None and isinstance(stated, int) and stated > 0 else limit


class Opened(Protocol):
    """What was opened to score: predictions, or counts of them."""

    @property
    def path(self) -> Path: ...

    @property
    def info(self) -> dict[str, Any]: ...


def chosen_folder(opened: Opened, config: str | None, data_dir: Path | None) -> Path | None:
    """Return the data folder: the option given, else that of the predictions, if they are of this configuration.

    Raises:
        DataNotFoundError: the folder that the predictions remember is not there.
    """
    from earthreason.predictions.folder import find_folder

    if data_dir is not None or config not in (None, opened.info.get("config") or "default"):
        return data_dir
    return find_folder(opened.info, opened.path)


def load_truth(
    opened: Opened,
    ground_truth: Path | None,
    config: str | None,
    split: str | None,
    data_dir: Path | None,
    tolerance: Tolerance | None = None,
    limit: int | None = None,
) -> References:
    """Load the ground truth that the options select; the predictions' `info` replaces options that are not given."""
    from earthreason.metrics.references import read_references
    from earthreason.metrics.truth import load_references

    if ground_truth is not None:
        references = read_references(ground_truth)
    else:
        folder = chosen_folder(opened, config, data_dir)
        references = load_references(*chosen_split(opened.info, config, split), folder, tolerance)
    first = chosen_limit(opened.info, limit)
    return references if first is None else references.limited(first)


def scene_loader(
    opened: Opened, ground_truth: Path | None, config: str | None, split: str | None, data_dir: Path | None
) -> SceneLoader:
    """Return a loader of images and questions for the split of `load_truth`; a ground-truth file has neither."""
    from earthreason.data.load import load_dataset
    from earthreason.reports.evaluation import Scene

    if ground_truth is not None:
        return lambda sample_id: None
    data_dir = chosen_folder(opened, config, data_dir)
    config, split = chosen_split(opened.info, config, split)
    # Loading the ground truth has decided whether too much is left out.
    dataset = load_dataset("earthreason", config, split=split, data_dir=data_dir, max_left_out=1.0)
    number = {sample_id: n for n, sample_id in enumerate(dataset["sample_id"])}

    def load(sample_id: str) -> Scene:
        row = dataset[number[sample_id]]
        return Scene(row["image"].convert("RGB"), row["questions"], row["answers"])

    return load
