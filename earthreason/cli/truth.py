"""Which ground truth a command scores against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from earthreason.metrics.references import References
    from earthreason.reports.evaluation import SceneLoader

GroundTruthOption = Annotated[
    Path | None,
    typer.Option("--ground-truth", help='Score against a file {"samples": [{"sample_id", "segmentation"}]}.'),
]


def load_truth(
    info: dict[str, Any], ground_truth: Path | None, config: str | None, split: str | None, data_dir: Path | None
) -> References:
    """The truth that the options name; what they leave open is taken from what the predictions say of themselves."""
    if ground_truth is not None:
        from earthreason.metrics.references import read_references

        return read_references(ground_truth)
    from earthreason.metrics.truth import load_references

    config = config or str(info.get("config") or "default")
    split = split or str(info.get("split") or "test")
    return load_references(config, split, data_dir)


def scene_loader(
    info: dict[str, Any], ground_truth: Path | None, config: str | None, split: str | None, data_dir: Path | None
) -> SceneLoader:
    """Images and questions of the split that `load_truth` scores against; none with a ground-truth file."""
    from earthreason.reports.evaluation import Scene

    if ground_truth is not None:
        return lambda sample_id: None
    from earthreason.data.load import load_dataset

    config = config or str(info.get("config") or "default")
    split = split or str(info.get("split") or "test")
    dataset = load_dataset("earthreason", config, split=split, data_dir=data_dir)
    number = {sample_id: n for n, sample_id in enumerate(dataset["sample_id"])}

    def load(sample_id: str) -> Scene:
        row = dataset[number[sample_id]]
        return Scene(row["image"].convert("RGB"), row["questions"], row["answers"])

    return load
