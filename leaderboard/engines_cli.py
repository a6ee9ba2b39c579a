"""Commands that need no server: bundles for other engines, and the results repository."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import report_json, stderr, stdout
from earthreason.cli.options import ConfigOption, DataDirOption, JsonOption, SplitOption
from earthreason.cli.submit import Training
from earthreason.cli.truth import GroundTruthOption, load_truth
from earthreason.errors import EarthReasonError
from leaderboard.bundles import IMAGE

if TYPE_CHECKING:
    from earthreason.metrics.references import References

OutFile = Annotated[Path, typer.Option("--out", help="Zip to write.")]
DataConfig = Annotated[str, typer.Option("--config", help="Which data: 'default' is the official release.")]
SplitsOption = Annotated[list[str], typer.Option("--split", help="val, test, or both by giving it twice.")]
StartOption = Annotated[
    datetime | None, typer.Option("--start", formats=["%Y-%m-%d"], help="First day.", show_default="today")
]
ResultsFolder = Annotated[Path, typer.Argument(help="Folder with <team__model>/<revision>/{result,meta}.json.")]
TitleOption = Annotated[str, typer.Option("--title", help="Of the competition.")]


def codabench(
    out: OutFile,
    image: Annotated[
        str,
        typer.Option("--docker-image", help="Image that scores; docker/Dockerfile in the bundle makes a faster one."),
    ] = IMAGE,
    config: DataConfig = "default",
    split: SplitsOption = ["val", "test"],  # noqa: B006 - typer copies it
    data_dir: DataDirOption = None,
    start: StartOption = None,
    val_days: Annotated[int, typer.Option("--val-days", min=1, help="Length of the validation phase.")] = 60,
    a_day: Annotated[int, typer.Option("--per-day", min=1, help="Submissions of a participant a day.")] = 3,
    title: TitleOption = "EarthReason",
) -> None:
    """Write a Codabench competition bundle: phases, columns, pages, and the judge as its scoring program.

    Example: python -m leaderboard codabench --out bundle.zip
    """
    from leaderboard.bundles import now, phases_of, write_codabench

    references = {name: _references(config, name, data_dir) for name in split}
    phases = phases_of(references, start or now(), val_days, a_day)
    write_codabench(out, phases, image, title)
    told = ", ".join(f"{phase.title} from {phase.start:%Y-%m-%d}" for phase in phases)
    stdout().print(f"{out}: {told}. It holds labels: give it to nobody but the engine", soft_wrap=True)


def evalai(
    out: OutFile,
    config: DataConfig = "default",
    split: SplitsOption = ["val", "test"],  # noqa: B006 - typer copies it
    data_dir: DataDirOption = None,
    start: StartOption = None,
    val_days: Annotated[int, typer.Option("--val-days", min=1, help="Length of the validation phase.")] = 60,
    a_day: Annotated[int, typer.Option("--per-day", min=1, help="Submissions of a participant a day.")] = 3,
    title: TitleOption = "EarthReason",
) -> None:
    """Write an EvalAI challenge: configuration, annotations, and the judge as its evaluation script.

    Example: python -m leaderboard evalai --out challenge.zip
    """
    from leaderboard.bundles import now, phases_of, write_evalai

    references = {name: _references(config, name, data_dir) for name in split}
    write_evalai(out, phases_of(references, start or now(), val_days, a_day), title)
    stdout().print(f"{out}: holds labels; give it to nobody but the engine", soft_wrap=True)


def _references(config: str, split: str, data_dir: Path | None) -> References:
    from earthreason.metrics.truth import load_references

    return load_references(config, split, data_dir)


def result(
    predictions: Annotated[Path, typer.Argument(help="JSON, JSONL, or a folder or zip of PNG masks.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the results repository.")],
    team: Annotated[str, typer.Option("--team")],
    name: Annotated[str, typer.Option("--name", help="Of the model.")],
    training: Annotated[Training, typer.Option("--training", help="What it has seen of EarthReason.")],
    paper: Annotated[str | None, typer.Option("--paper", help="Address.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="Address.")] = None,
    checkpoint: Annotated[str | None, typer.Option("--checkpoint", help="Address.")] = None,
    parameters: Annotated[float | None, typer.Option("--parameters", help="Millions.")] = None,
    backbone: Annotated[str, typer.Option("--backbone")] = "",
    extra_data: Annotated[str, typer.Option("--extra-data", help="Training data beyond EarthReason.")] = "",
    description: Annotated[str, typer.Option("--description")] = "",
    config: ConfigOption = None,
    split: SplitOption = None,
    data_dir: DataDirOption = None,
    ground_truth: GroundTruthOption = None,
) -> None:
    """Score a file and write its row for a results repository, ready for a pull request.

    Example: python -m leaderboard result preds.json --out results --team "Earth Lab" --name "My model" ...
    """
    from earthreason.predictions.reader import open_predictions
    from leaderboard.board import Entry
    from leaderboard.records import parse_metadata
    from leaderboard.results_repo import write_entry
    from leaderboard.scoring import score_predictions
    from leaderboard.tokens import check_team_name

    opened = open_predictions(predictions)
    metadata = parse_metadata(
        {
            "model": name, "training": training.value, "paper": paper, "code": code, "checkpoint": checkpoint,
            "parameters_millions": parameters, "backbone": backbone, "extra_data": extra_data,
            "description": description,
        }
    )  # fmt: skip
    with stderr().status("scoring"):
        references = load_truth(opened.info, ground_truth, config, split, data_dir)
        config, split = (
            config or str(opened.info.get("config") or "default"),
            split or str(opened.info.get("split") or "test"),
        )
        record = score_predictions(opened, references, config=config, split=split, hidden=False).record
    today = datetime.now(UTC).timestamp()
    folder = write_entry(out, Entry("", check_team_name(team), metadata.public(), record, today))
    stdout().print(
        f"{folder}: result.json, meta.json; check them: python -m leaderboard validate {out}", soft_wrap=True
    )


def validate(
    folder: ResultsFolder,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Also score this file again and compare with its row.")
    ] = None,
    data_dir: DataDirOption = None,
    ground_truth: GroundTruthOption = None,
    json_out: JsonOption = None,
) -> None:
    """Check a results repository, as a pull-request check does. Exits with 1 on faults, each told on a line.

    Example: python -m leaderboard validate results
    """
    from earthreason.predictions.reader import open_predictions
    from leaderboard.results_repo import entry_folders, rescore
    from leaderboard.results_repo import validate as find_faults

    faults = find_faults(folder)
    if predictions is not None and not faults:
        info = open_predictions(predictions).info
        faults = rescore(folder, predictions, load_truth(info, ground_truth, None, None, data_dir))
    rows = len(list(entry_folders(folder)))
    if report_json(json_out, {"rows": rows, "faults": faults}):
        for fault in faults:
            stdout().print(fault, soft_wrap=True, markup=False)
        if not faults:
            stdout().print(f"{rows} rows, nothing wrong")
    if faults:
        raise typer.Exit(1)


def static(
    folder: ResultsFolder,
    out: Annotated[Path, typer.Option("--out", help="Folder to write; must not exist, or be empty.")],
    title: TitleOption = "EarthReason",
) -> None:
    """Draw a results repository as a complete site for any web host.

    Example: python -m leaderboard static results --out site
    """
    from leaderboard.results_repo import read_repository
    from leaderboard.static_site import write_site

    pages = write_site(read_repository(folder), out, title)
    stdout().print(f"{out}: {pages} pages; open {out / 'index.html'}", soft_wrap=True)


def export(out: Annotated[Path, typer.Option("--out", help="Folder of a results repository.")]) -> None:
    """Write the server's public rows into a results repository."""
    import os

    from leaderboard.database import Database
    from leaderboard.results_repo import write_entry
    from leaderboard.settings import settings_from
    from leaderboard.splits import list_splits
    from leaderboard.submissions import public_results
    from leaderboard.web.state import entry_of

    database = Database(settings_from(os.environ).database_url)
    database.migrate()
    with database.read() as session:
        entries = [entry_of(*pair) for split in list_splits(session) for pair in public_results(session, split)]
    for entry in entries:
        write_entry(out, entry)
    stdout().print(f"{out}: {len(entries)} rows", soft_wrap=True)


def hub(
    folder: Annotated[Path, typer.Argument(help="<team__model>/<revision> of a results repository.")],
    out: Annotated[Path, typer.Option("--out", help="YAML to write: .eval_results/earthreason.yaml.")],
    url: Annotated[str | None, typer.Option("--url", help="Address of the row on a board.")] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Benchmark on the Hub.", show_default="EarthReason's, for its own splits"),
    ] = None,
) -> None:
    """Write a row as `.eval_results` YAML for the model's repository on the Hub.

    Example: python -m leaderboard hub results/lab__model/default-test-0123456789ab --out .eval_results/earthreason.yaml
    """
    from earthreason.data.sources.release import HUB_ID
    from earthreason.files import write_text
    from leaderboard.eval_results import eval_results_yaml
    from leaderboard.results_repo import read_entry

    if not (folder / "result.json").is_file():
        raise EarthReasonError(f"{folder}: no result.json; name a folder results/<team__model>/<revision>")
    entry = read_entry(folder)
    if dataset is None and entry.record.config != "default":
        raise EarthReasonError(f"these scores are of {entry.record.config!r}, not of EarthReason; name its --dataset")
    write_text(out, eval_results_yaml([(entry.record, entry.date)], url, dataset or HUB_ID))
    stdout().print(f"{out}: copy it into the model's repository", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (codabench, evalai, hub, result, validate, static, export):
        app.command()(command)
