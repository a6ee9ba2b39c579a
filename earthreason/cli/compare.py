"""`earthreason compare`: test whether one model is better than another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import report_json, status, stdout
from earthreason.cli.completions import complete_protocol
from earthreason.cli.evaluate import (
    InstancesOption,
    InstancesRule,
    Missing,
    MissingOption,
    ResamplesOption,
    SeedOption,
    WorkersOption,
)
from earthreason.cli.options import CORES, ConfigOption, DataDirOption, JsonOption, LimitOption, SplitOption
from earthreason.cli.truth import GroundTruthOption, load_truth


def compare(
    predictions: Annotated[
        list[Path], typer.Argument(help="Two or more predictions files; the others are compared with the first.")
    ],
    config: ConfigOption = None,
    split: SplitOption = None,
    data_dir: DataDirOption = None,
    ground_truth: GroundTruthOption = None,
    protocol: Annotated[
        str, typer.Option(help="Scoring rules (see `earthreason protocols`).", autocompletion=complete_protocol)
    ] = "segearth-r1",
    missing: MissingOption = Missing.error,
    instances: InstancesOption = InstancesRule.error,
    resamples: ResamplesOption = 10_000,
    seed: SeedOption = 0,
    workers: WorkersOption = CORES,
    shown: Annotated[int, typer.Option(min=0, help="Number of questions with the largest changes to list.")] = 5,
    limit: LimitOption = None,
    json_out: JsonOption = None,
) -> None:
    """Compare predictions on the same questions: paired bootstrap, permutation tests, wins and losses.

    Example: earthreason compare ours.json theirs.json --config sample
    """
    from earthreason.errors import EarthReasonError
    from earthreason.metrics.compare import compare_results
    from earthreason.metrics.evaluate import evaluate as score
    from earthreason.predictions.reader import open_predictions
    from earthreason.reports.table import print_comparisons

    if len(predictions) < 2:
        raise EarthReasonError("a comparison needs at least two predictions files: earthreason compare A.json B.json")
    if resamples == 0:
        raise EarthReasonError("--resamples must be at least 1 for a comparison")
    opened = [open_predictions(path, instances.value) for path in predictions]
    with status("reading and scoring"):
        truth = load_truth(opened[0], ground_truth, config, split, data_dir, limit=limit)
        results = [
            score(file, truth, protocol, missing=missing.value, resamples=resamples, seed=seed, workers=workers)
            for file in opened
        ]
    with status("resampling"):
        comparisons = compare_results(results, resamples, seed)
    if report_json(json_out, {"comparisons": [comparison.to_dict() for comparison in comparisons]}):
        print_comparisons(comparisons, stdout(), shown)
