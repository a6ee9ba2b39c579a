"""`earthreason-eval`: score a predictions file."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from earthreason.cli.app import (
    LicenceOption,
    QuietOption,
    VerboseOption,
    VersionOption,
    report_json,
    set_verbosity,
    status,
    stdout,
)
from earthreason.cli.completions import complete_protocol
from earthreason.cli.merge import merge_command
from earthreason.cli.options import (
    CORES,
    ConfigOption,
    DataDirOption,
    JsonOption,
    LimitOption,
    MaxLeftOutOption,
    PredictionsPath,
    ReportOption,
    ShardOption,
    SplitOption,
    StrictOption,
    refuse_folder_early,
)
from earthreason.cli.truth import GroundTruthOption, load_truth, scene_loader
from earthreason.plurals import count_of


class Missing(StrEnum):
    """Treatment of questions without a prediction."""

    error = "error"
    empty = "empty"


class InstancesRule(StrEnum):
    """Treatment of several masks for one question."""

    error = "error"
    union = "union"


ProtocolOption = Annotated[
    str, typer.Option(help="Scoring rules, or 'all'; see `earthreason protocols`.", autocompletion=complete_protocol)
]
MissingOption = Annotated[Missing, typer.Option(help="Refuse questions without a prediction, or score them as empty.")]
InstancesOption = Annotated[
    InstancesRule, typer.Option("--instances", help="Refuse several masks for one question, or merge them.")
]
ResamplesOption = Annotated[int, typer.Option(min=0, help="Bootstrap resamples of the images; 0 omits the intervals.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed for the resamples and for questions drawn at random.")]
ByOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Also print scores with intervals by group: category, reasoning_type, unseen, target, target_area, "
        "image_size, gsd or question_index; may be repeated.",
        show_default="those of the configuration; none except for diagnostic",
    ),
]
WorkersOption = Annotated[int, typer.Option(min=1, help="Number of threads.", show_default="all cores")]


def evaluate(
    predictions: PredictionsPath,
    config: ConfigOption = None,
    split: SplitOption = None,
    data_dir: DataDirOption = None,
    ground_truth: GroundTruthOption = None,
    protocol: ProtocolOption = "segearth-r1",
    missing: MissingOption = Missing.error,
    instances: InstancesOption = InstancesRule.error,
    by: ByOption = None,
    boundary: Annotated[bool, typer.Option("--boundary", help="Also compute Boundary IoU (slower).")] = False,
    resamples: ResamplesOption = 10_000,
    seed: SeedOption = 0,
    workers: WorkersOption = CORES,
    json_out: JsonOption = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write one row per question to this CSV file.", callback=refuse_folder_early)
    ] = None,
    report: ReportOption = None,
    strict: StrictOption = False,
    max_left_out: MaxLeftOutOption = None,
    limit: LimitOption = None,
    gallery: Annotated[int, typer.Option(min=0, help="Number of samples in each gallery of the page.")] = 24,
    shard: ShardOption = None,
    counts: Annotated[
        Path | None,
        typer.Option(help="Only count the pixels of the part --shard, and write them to this .parquet file to merge."),
    ] = None,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    version: VersionOption = False,
    licence: LicenceOption = False,
) -> None:
    """Score predictions with the official protocol and, for comparison, at native resolution.

    Example: earthreason-eval preds.json --config sample --split test

    Example: earthreason-eval preds.json --protocol all --report report/
    """
    from earthreason.data.configs import strata_of
    from earthreason.data.omissions import Tolerance
    from earthreason.files import write_text
    from earthreason.metrics.breakdowns import TITLES, check_breakdown, stratify
    from earthreason.metrics.counted import count_part, is_counts, open_counts, part_to_count
    from earthreason.metrics.evaluate import evaluate_protocols
    from earthreason.metrics.protocols import NATIVE, PROTOCOLS, SEGEARTH_R1, get_protocol
    from earthreason.metrics.result import Result
    from earthreason.predictions.reader import open_predictions
    from earthreason.reports.table import describe_threshold, print_protocols, print_results, print_strata

    if verbose or quiet:
        set_verbosity(verbose, quiet)
    for name in by or ():
        check_breakdown(name)
    headline = SEGEARTH_R1 if protocol == "all" else get_protocol(protocol)
    opened = open_counts(predictions) if is_counts(predictions) else open_predictions(predictions, instances.value)
    part = part_to_count(opened, shard, counts)
    with status("reading the ground truth"):
        references = load_truth(
            opened, ground_truth, config, split, data_dir, Tolerance.of_options(strict, max_left_out), limit
        )
    if part is not None and counts is not None:
        with status("counting"):
            counted = count_part(opened, references, part, counts, workers)
        typer.echo(
            f"{counts}: {count_of(counted, 'question')} of part {part}\nmerge all: {merge_command(counts, part)}"
        )
        return
    beside = list(PROTOCOLS.values()) if protocol == "all" or report else [NATIVE]
    rules = list(dict.fromkeys([headline, *beside]))
    with status("scoring"):
        results = evaluate_protocols(
            opened,
            references,
            rules,
            missing=missing.value,
            resamples=resamples,
            seed=seed,
            workers=workers,
            boundary=boundary,
        )
    scored = [result for result in results if isinstance(result, Result)]
    groupings = by or strata_of(references.config)
    strata = {name: stratify(scored[0].scored, references, name, resamples, seed) for name in groupings}
    threshold = describe_threshold(opened.info)
    if csv is not None:
        write_text(csv, scored[0].per_sample.to_csv(index=False))
    if report is not None:
        from earthreason.reports.evaluation import write_report

        with status("drawing the report"):
            load_scene = scene_loader(opened, ground_truth, config, split, data_dir)
            write_report(report, results, opened, load_scene, gallery)
    content: dict[str, Any] = {}
    if json_out is not None:  # breakdowns take time
        content["results"] = [result.to_dict() for result in scored]
        if strata:
            content["strata"] = {name: [asdict(stratum) for stratum in groups] for name, groups in strata.items()}
        if threshold is not None:
            content["no_target_threshold"] = opened.info["no_target_threshold"]
    if report_json(json_out, content):
        if protocol == "all":
            print_protocols(results, stdout())
        else:
            print_results([result for result in scored if result.protocol in (headline, NATIVE)], stdout())
        for name, groups in strata.items():
            print_strata(TITLES[name], groups, scored[0].protocol.name, stdout())
        if threshold is not None:
            typer.echo(threshold)
    for label, path in (("page", report and report / "index.html"), ("per question", csv)):
        if path is not None:
            typer.echo(f"{label}: {path}", err=True)
