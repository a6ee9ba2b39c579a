"""`earthreason submit`: check a predictions file, upload it to a leaderboard, print its row."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from earthreason.cli.app import report_json, status, stderr, stdout
from earthreason.cli.options import ConfigOption, JsonOption, PredictionsPath, SplitOption
from earthreason.cli.truth import chosen_split
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.progress import are_shown

TOKEN_VARIABLE = "EARTHREASON_TOKEN"
SERVER_VARIABLE = "EARTHREASON_SERVER"
KEYRING_SERVICE = "earthreason"


class Training(StrEnum):
    """How a model was exposed to the dataset."""

    trained = "trained"
    few_shot = "few-shot"
    zero_shot = "zero-shot"


def _check_url(value: str | None) -> str | None:
    if value is not None and not value.startswith(("https://", "http://")):
        raise typer.BadParameter(f"{value!r} is not a URL; it must begin with https:// or http://")
    return value


def _url_option(of: str) -> Any:
    return typer.Option(help=f"URL of the {of}.", callback=_check_url)


NameOption = Annotated[str, typer.Option(help="Model name shown on the board.")]
TrainingOption = Annotated[Training, typer.Option(help="How the model was exposed to the dataset.")]
PaperOption = Annotated[str | None, _url_option("paper")]
CodeOption = Annotated[str | None, _url_option("code")]
CheckpointOption = Annotated[str | None, _url_option("checkpoint")]
ParametersOption = Annotated[float | None, typer.Option(help="Number of parameters in millions.")]
BackboneOption = Annotated[str, typer.Option(help="Name of the backbone.")]
ExtraDataOption = Annotated[str, typer.Option(help="Training data beyond the dataset.")]
DescriptionOption = Annotated[str, typer.Option(help="Text shown on the model's page.")]


def submit(
    predictions: PredictionsPath,
    name: NameOption,
    training: TrainingOption,
    server: Annotated[str, typer.Option(envvar=SERVER_VARIABLE, help="URL of the leaderboard.")],
    config: ConfigOption = None,
    split: SplitOption = None,
    paper: PaperOption = None,
    code: CodeOption = None,
    checkpoint: CheckpointOption = None,
    parameters: ParametersOption = None,
    backbone: BackboneOption = "",
    extra_data: ExtraDataOption = "",
    description: DescriptionOption = "",
    contact: Annotated[str, typer.Option(help="How to reach you; only the organisers see it.")] = "",
    card: Annotated[Path | None, typer.Option(help="JSON file whose object is shown on the model's page.")] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Publish the row once it is scored.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Check the file without uploading it.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Longest time to wait for the score, in seconds.")] = 600,
    json_out: JsonOption = None,
) -> None:
    """Check a predictions file, upload it and wait for its score. Repeating the command is safe.

    The token is read from EARTHREASON_TOKEN, then from the keyring; otherwise the command prompts for it.

    Example: earthreason submit preds.json --name "My model" --training trained --split test --server https://...
    """
    from earthreason.board_client import BoardClient, check_predictions, check_token, packed
    from earthreason.data.schema import short_split
    from earthreason.predictions.folder import without_folder
    from earthreason.predictions.reader import open_predictions

    words = _read_card(card)
    opened = open_predictions(predictions)
    config, split = chosen_split(opened.info, config, split)
    key = f"{config}/{short_split(split)}"
    client = BoardClient(server)
    with status(f"checking against the samples of {key}"):
        main_protocol = client.main_protocol(key)
        answered = check_predictions(opened, client.references(key), main_protocol)
    typer.echo(f"the file has no faults; {count_of(answered, 'question')} will be scored by {main_protocol}", err=True)
    if check:
        return
    metadata = {
        "model": name,
        "training": training.value,
        "paper": paper,
        "code": code,
        "checkpoint": checkpoint,
        "parameters_millions": parameters,
        "backbone": backbone,
        "extra_data": extra_data,
        "description": description,
        "contact": contact,
    }
    token, asked = _token(client.server)
    client.token = check_token(token)
    with without_folder(predictions, opened.info) as given, packed(given) as file:
        submission = client.announce(key, file, metadata, words)
        if asked:
            _remember(client.server, client.token)
        if submission["upload"] is None:
            typer.echo(
                submission.get("notice") or "this file was submitted before; its earlier submission is shown", err=True
            )
        else:
            _upload(client, submission["id"], file)
    with status("waiting for the score"):
        submission = client.follow(submission["id"], timeout)
    if submission["state"] == "failed":
        raise EarthReasonError(f"scoring failed: {submission['error']}")
    if publish:
        submission = client.publish(submission["id"])
    if report_json(json_out, submission):
        _print_row(submission, main_protocol)


def _upload(client: Any, submission_id: str, file: Path) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("uploading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=stderr(), disable=not are_shown()) as bars:
        bar = bars.add_task("uploading", total=file.stat().st_size)
        client.upload(submission_id, file, lambda sent: bars.update(bar, completed=sent))


def _read_card(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise EarthReasonError(f"{path}: not JSON: {error}") from None
    if not isinstance(card, dict):
        raise EarthReasonError(f"{path}: a card is a JSON object")
    return card


def _token(server: str) -> tuple[str, bool]:
    """Return the team's token, and whether the user has just typed it."""
    token = os.environ.get(TOKEN_VARIABLE)
    if token:
        return token, False
    ring = _keyring()
    token = ring.get_password(KEYRING_SERVICE, server) if ring else None
    if token:
        return token, False
    if not sys.stdin.isatty():
        raise EarthReasonError(f"no token: ask the organisers of {server} for one and set {TOKEN_VARIABLE}")
    return typer.prompt(f"token for {server}", hide_input=True, err=True).strip(), True


def _remember(server: str, token: str | None) -> None:
    """Offer to store a token that the server has just accepted."""
    ring = _keyring()
    if ring and typer.confirm("Store the token in this machine's keyring?", err=True):
        ring.set_password(KEYRING_SERVICE, server, token)


def _keyring() -> Any:
    """Return the keyring package, or None if it is not installed or this machine has no keyring."""
    try:
        import keyring
        import keyring.backends.fail
    except ImportError:
        return None
    return None if isinstance(keyring.get_keyring(), keyring.backends.fail.Keyring) else keyring


def _print_row(submission: dict[str, Any], main_protocol: str) -> None:

    from earthreason.metrics.formats import format_interval, format_score
    from earthreason.metrics.protocols import NATIVE
    from earthreason.metrics.scores import N_ACC, OVERLAP
    from earthreason.metrics.statistics import Interval
    from earthreason.reports.tables import new_table, print_table

    columns = (*OVERLAP, N_ACC.name)
    title = f"{submission['metadata']['model']} on {submission['split']}, %"
    table = new_table(title=title)
    table.add_column("protocol", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name in dict.fromkeys((main_protocol, NATIVE.name)):
        scores = submission["result"]["protocols"].get(name, {}).get("scores", {}).get("all", {})
        cells = []
        for column in columns:
            value, *ends = scores.get(column) or (None,)
            interval = None if None in ends or not ends else Interval(*ends)
            cells.append(f"{format_score(value)}\n{format_interval(interval)}".rstrip())
        table.add_row(name, *cells)
    print_table(table, stdout())
    visibility = submission["visibility"]
    if visibility == "private":
        visibility = "private; publish it under My submissions, or with --publish"
    typer.echo(f"{submission['url']} ({visibility})")
