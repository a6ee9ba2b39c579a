"""`earthreason-eval`: score a predictions file."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import stdout
from earthreason.cli.options import ConfigOption, DataDirOption, JsonOption, SplitOption

if TYPE_CHECKING:
    from earthreason.metrics.references import References
    from earthreason.predictions.reader import Predictions


class Missing(StrEnum):
    """What to do with questions nobody answered."""

    error = "error"
    empty = "empty"


def evaluate(
    predictions: Annotated[Path, typer.Argument(help="JSON, JSONL, or a folder or zip of PNG masks.")],
    config: ConfigOption = None,
    split: SplitOption = None,
    data_dir: DataDirOption = None,
    ground_truth: Annotated[
        Path | None,
        typer.Option("--ground-truth", help='Score against a file {"samples": [{"sample_id", "segmentation"}]}.'),
    ] = None,
    protocol: Annotated[str, typer.Option("--protocol", help="Scoring rules of the headline row.")] = "segearth-r1",
    missing: Annotated[
        Missing, typer.Option("--missing", help="Questions without a prediction: refuse, or score as empty.")
    ] = Missing.error,
    json_out: JsonOption = None,
) -> None:
    """Score predictions with the official protocol, and at native resolution beside it.

    Example: earthreason-eval preds.json --config sample --split test
    """
    from earthreason.files import write_json
    from earthreason.metrics.evaluate import evaluate_file
    from earthreason.metrics.protocols import NATIVE, get_protocol
    from earthreason.predictions.reader import read_predictions
    from earthreason.reports.table import print_results

    headline = get_protocol(protocol)
    read = read_predictions(predictions)
    references = _references(read, ground_truth, config, split, data_dir)
    protocols = [headline, NATIVE] if read.grid.kind == "native" and headline != NATIVE else [headline]
    results = [evaluate_file(read, references, rules, missing=missing.value) for rules in protocols]
    content = {"results": [result.to_dict() for result in results]}
    if json_out is not None and str(json_out) == "-":
        json.dump(content, sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
        return
    print_results(results, stdout())
    if json_out is not None:
        write_json(json_out, content)


def _references(
    predictions: Predictions, ground_truth: Path | None, config: str | None, split: str | None, data_dir: Path | None
) -> References:
    if ground_truth is not None:
        from earthreason.metrics.references import read_references

        return read_references(ground_truth)
    from earthreason.data.truth import load_references

    stated = predictions.info
    config = config or str(stated.get("config") or "default")
    split = split or str(stated.get("split") or "test")
    return load_references(config, split, data_dir)
