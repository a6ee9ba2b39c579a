"""Commands for a repository of result files; none of them needs a server."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import report_json, status, stderr, stdout
from earthreason.cli.completions import complete_protocol
from earthreason.cli.options import ConfigOption, DataDirOption, JsonOption, PredictionsPath, SplitOption
from earthreason.cli.submit import (
    BackboneOption,
    CheckpointOption,
    CodeOption,
    DescriptionOption,
    ExtraDataOption,
    NameOption,
    PaperOption,
    ParametersOption,
    TrainingOption,
)
from earthreason.cli.truth import GroundTruthOption, chosen_split, load_truth
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of

ResultsFolder = Annotated[
    Path, typer.Argument(help="Results repository: a folder with <team__model>/<revision>/{result,meta}.json.")
]

MainProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        help="Protocol that ranks the models (see `earthreason protocols`).",
        show_default="that of the dataset's authors",
        autocompletion=complete_protocol,
    ),
]


def result(
    predictions: PredictionsPath,
    out: Annotated[Path, typer.Option("--out", help="Folder of the results repository.")],
    team: Annotated[str, typer.Option("--team", help="Team name shown on the board.")],
    name: NameOption,
    training: TrainingOption,
    paper: PaperOption = None,
    code: CodeOption = None,
    checkpoint: CheckpointOption = None,
    parameters: ParametersOption = None,
    backbone: BackboneOption = "",
    extra_data: ExtraDataOption = "",
    description: DescriptionOption = "",
    config: ConfigOption = None,
    split: SplitOption = None,
    data_dir: DataDirOption = None,
    ground_truth: GroundTruthOption = None,
    protocol: MainProtocolOption = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="The labels are secret: write only what a hidden split shows.")
    ] = False,
) -> None:
    """Score a file and write its row for a results repository, ready for a pull request.

    Example: earthreason-leaderboard result preds.json --out results --team "Earth Lab" --name "My model" ...
    """
    from earthreason.data.schema import short_split
    from earthreason.metrics.protocols import get_protocol, protocol_of
    from earthreason.predictions.reader import open_predictions

    from .board import BoardEntry
    from .records import parse_metadata
    from .results_repo import write_entry
    from .scoring import score_predictions
    from .tokens import check_team_name

    opened = open_predictions(predictions)
    metadata = parse_metadata(
        {
            "model": name,
            "training": training.value,
            "paper": paper,
            "code": code,
            "checkpoint": checkpoint,
            "parameters_millions": parameters,
            "backbone": backbone,
            "extra_data": extra_data,
            "description": description,
        }
    )
    config, split = chosen_split(opened.info, config, split)
    main = protocol_of(config) if protocol is None else get_protocol(protocol)
    with status("scoring"):
        references = load_truth(opened, ground_truth, config, split, data_dir)
        record = score_predictions(
            opened, references, config=config, split=short_split(split), hidden=hidden, main=main
        ).record
    today = datetime.now(UTC).timestamp()
    folder = write_entry(out, BoardEntry("", check_team_name(team), metadata.public(), record, today))
    stdout().print(
        f"{folder}: wrote result.json and meta.json; check them with `earthreason-leaderboard validate {out}`",
        soft_wrap=True,
    )


def validate(
    folder: ResultsFolder,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions", help="Also score this file again, as each of its rows says, and compare the scores."
        ),
    ] = None,
    data_dir: DataDirOption = None,
    ground_truth: GroundTruthOption = None,
    hidden: Annotated[
        bool,
        typer.Option(
            "--hidden", help="The labels are secret: refuse complete rows, and print no figure that scoring finds."
        ),
    ] = False,
    json_out: JsonOption = None,
) -> None:
    """Check a results repository, for example in a pull request. Print one fault per line; exit with 1 on any.

    Example: earthreason-leaderboard validate results
    """
    from earthreason.metrics.references import read_references

    from .repo_checks import validate as find_faults
    from .results_repo import entry_folders, rescore

    faults = find_faults(folder)
    if predictions is not None and not faults:
        references = None if ground_truth is None else read_references(ground_truth)
        faults = rescore(folder, predictions, references, data_dir, secret=hidden)
    rows = len(list(entry_folders(folder)))
    if report_json(json_out, {"rows": rows, "faults": faults}):
        for fault in faults:
            stdout().print(fault, soft_wrap=True, markup=False)
        if not faults:
            stdout().print(f"{count_of(rows, 'row')}, no faults")
    if faults:
        raise typer.Exit(1)


def static(
    folder: ResultsFolder,
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist, or be empty.")],
    title: Annotated[str, typer.Option("--title", help="Title of the board.")] = "EarthReason",
) -> None:
    """Render a results repository as a complete site for any web host.

    Example: earthreason-leaderboard static results --out site
    """
    from .results_repo import read_repository
    from .static_site import write_site

    pages = write_site(read_repository(folder), out, title)
    stdout().print(f"{out}: {count_of(pages, 'page')}; open {out / 'index.html'}", soft_wrap=True)


def export(out: Annotated[Path, typer.Option("--out", help="Folder of the results repository.")]) -> None:
    """Write the server's public rows into a results repository. Rows there that are not public are named, and stay."""
    from .database import Database
    from .entries import entry_of
    from .results_repo import entry_folders, write_entry
    from .settings import settings_from
    from .splits import list_splits
    from .submissions import public_results

    database = Database(settings_from(os.environ).database_url)
    database.migrate()
    written = set()
    with database.read() as session:
        for split in list_splits(session):
            for submission, scored in public_results(session, split):
                written.add(write_entry(out, entry_of(submission, scored)))
    stdout().print(f"{out}: {count_of(len(written), 'row')}", soft_wrap=True)
    for folder in entry_folders(out) if out.is_dir() else ():
        if folder not in written:
            message = f"{folder}: not a public row of this server, or no longer; remove it unless it came another way"
            stderr().print(message, soft_wrap=True, markup=False)


def hub(
    folder: Annotated[
        Path, typer.Argument(help="Row to write: the folder <team__model>/<revision> of a results repository.")
    ],
    out: Annotated[Path, typer.Option("--out", help="YAML to write: .eval_results/earthreason.yaml.")],
    url: Annotated[str | None, typer.Option("--url", help="URL of the row on a board.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Benchmark's dataset repository on the Hub.",
            show_default="EarthReason's, for its splits",
        ),
    ] = None,
) -> None:
    """Write a row as `.eval_results` YAML for the model's repository on the Hub.

    Example: earthreason-leaderboard hub results/lab__model/default-test-0123456789ab --out .eval_results/score.yaml
    """
    from earthreason.data.sources.release import HUB_ID
    from earthreason.files import write_text

    from .eval_results import eval_results_yaml
    from .results_repo import read_entry

    if not (folder / "result.json").is_file():
        raise EarthReasonError(f"{folder}: no result.json here; give a folder like results/<team__model>/<revision>")
    entry = read_entry(folder)
    if dataset is None and entry.record.config != "default":
        raise EarthReasonError(
            f"these scores are for {entry.record.config!r}, not for EarthReason; give the benchmark with --dataset"
        )
    write_text(out, eval_results_yaml([(entry.record, entry.date)], url, dataset or HUB_ID))
    stdout().print(f"{out}: copy this file into the model's repository", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (hub, result, validate, static, export):
        app.command()(command)
