"""`earthreason-leaderboard`: serve and operate a board, and write the files that competition hosts take."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from earthreason.cli.app import guard, make_app, report_json, status, stderr, stdout
from earthreason.cli.completions import complete_split
from earthreason.cli.options import JsonOption
from earthreason.cli.ports import check_free, url_of
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.plurals import count_of

from . import people_cli, results_cli
from .engines import cli as engines_cli
from .settings import Settings, settings_from

if TYPE_CHECKING:
    from .database import Database

app = make_app(
    "earthreason-leaderboard",
    "The EarthReason leaderboard. Settings come from the environment: EARTHREASON_BOARD_*, DATABASE_URL.",
)
tokens = typer.Typer(help="Manage the tokens of teams and administrators.", no_args_is_help=True)
splits = typer.Typer(help="Manage the splits that accept submissions.", no_args_is_help=True)
app.add_typer(tokens, name="token")
app.add_typer(splits, name="split")

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")]
_SWITCH_SECONDS = 0.0005
"""How long a drawing thread may keep the interpreter while a kept page waits to be sent; the default is 5 ms."""
_IDS = {"ignore_unknown_options": True}  # an ID may begin with a dash
SplitKey = Annotated[str, typer.Argument(metavar="SPLIT", help="Split as CONFIG/NAME, such as default/test.")]


def _settings() -> Settings:
    return settings_from(os.environ)


def _database() -> Database:
    """Open the board's database and bring its tables up to date."""
    from .database import Database
    from .private_files import write_privately

    write_privately()
    database = Database(_settings().database_url)
    database.wait(5)
    database.migrate()
    return database


@app.command()
def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Scoring processes on this machine.")] = 1,
) -> None:
    """Serve the pages and score submissions in separate processes. A process that ends is restarted.

    Example: earthreason-leaderboard serve --port 8000
    """
    from .logs import set_up_logs
    from .processes import close_to_others
    from .supervise import Supervisor

    close_to_others()
    check_free(host, port)
    set_up_logs()
    _database()  # fail here, once, rather than in every process
    stderr().print(f"leaderboard: {url_of(host, port)}", soft_wrap=True, markup=False)
    web = ["web", "--host", host, "--port", str(port)]
    code = Supervisor([web, ["notify"], *[["worker"]] * workers]).run()
    if code:
        raise typer.Exit(code)


@app.command()
def web(host: HostOption = "127.0.0.1", port: PortOption = 8000) -> None:
    """Serve the pages only; run workers separately."""
    import uvicorn

    from earthreason.web.connections import PatientWithFew, allow_connections

    from .logs import set_up_logs
    from .private_files import write_privately
    from .processes import close_to_others
    from .web.app import create_app

    close_to_others()
    write_privately()
    check_free(host, port)
    set_up_logs()
    settings = _settings()
    sys.setswitchinterval(_SWITCH_SECONDS)
    most = allow_connections()
    PatientWithFew.head_seconds, PatientWithFew.most_connections = settings.head_seconds, most
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        http=PatientWithFew,
        timeout_keep_alive=10,
        server_header=False,
    )


@app.command()
def worker() -> None:
    """Score submissions. Run as many workers as you like, on any machine that reaches the database."""
    from .database import Database
    from .logs import set_up_logs
    from .private_files import write_privately
    from .processes import close_to_others
    from .worker import Worker

    close_to_others()
    write_privately()
    set_up_logs()
    settings = _settings()
    database = Database(settings.database_url)
    database.wait(60)
    database.migrate()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="leaderboard-") as scratch:
        Worker(database, settings, Path(scratch), stop).run()


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date. `serve` also does this."""
    _database()
    stdout().print("the tables are up to date")


@splits.command("add")
def add_split(
    config: engines_cli.ConfigOption = "default",
    name: Annotated[
        str, typer.Option("--split", help="Split to add: train, val or test.", autocompletion=complete_split)
    ] = "test",
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Folder of the release.")] = None,
    ground_truth: Annotated[
        Path | None, typer.Option("--ground-truth", help="Read the labels from this ground-truth file instead.")
    ] = None,
    open_labels: Annotated[
        bool | None,
        typer.Option(
            "--open/--hidden",
            help="Whether the labels are public or secret.",
            show_default="hidden; a split that is there stays as it is",
        ),
    ] = None,
    protocol: results_cli.MainProtocolOption = None,
) -> None:
    """Add a split, or replace its ground truth or protocol, which scores every submission to the split again.

    Example: earthreason-leaderboard split add --config sample --split test --open
    """
    import re

    from earthreason.data.schema import short_split
    from earthreason.metrics.protocols import get_protocol

    from .splits import NAME_PATTERN, content_of, content_of_file, find_split, put_split

    if protocol is not None:
        get_protocol(protocol)
    name = short_split(name)  # validation and val are one split, not two with limits of their own
    for part in (config, name):
        if not re.fullmatch(NAME_PATTERN, part):
            raise EarthReasonError(f"{part!r}: a split's name may contain letters, digits, '.', '_' and '-'")
    database = _database()
    with database.read() as session:
        before = find_split(session, config, name)
    hidden = not open_labels if open_labels is not None else before is None or before.hidden
    with status("reading the ground truth"):
        content = content_of_file(ground_truth) if ground_truth else content_of(config, name, data_dir, hidden=hidden)
    with database.write() as session:
        split, again = put_split(session, config, name, content, hidden=hidden, main_protocol=protocol)
        kind = "hidden" if split.hidden else "open"
        changed = "" if before is None or before.hidden == hidden else f", before {'open' if hidden else 'hidden'}"
        stdout().print(
            f"{split.key}: {count_of(split.questions, 'question')}, "
            f"{count_of(split.empty_targets, 'image')} without a target, "
            f"labels {kind}{changed}, ranked by {split.main_protocol}",
            soft_wrap=True,
        )
        if again:
            stdout().print(f"to be scored again: {count_of(again, 'submission')}")


@splits.command("list")
def list_all_splits(json_out: JsonOption = None) -> None:
    """List the splits with their sizes, and what a submission can tell of hidden labels."""
    from .splits import bits_of, list_splits

    with _database().read() as session:
        rows: list[dict[str, Any]] = [
            {
                "split": split.key,
                "questions": split.questions,
                "hidden": split.hidden,
                "closed": split.closed,
                "main_protocol": split.main_protocol,
                "bits_per_submission": bits_of(split),
            }
            for split in list_splits(session)
        ]
    if report_json(json_out, rows):
        for split in rows:
            bits = split["bits_per_submission"]
            hidden = "" if bits is None else f" (a submission tells at most {bits:.1f} bits of them)"
            facts = f"{count_of(split['questions'], 'question')}, ranked by {split['main_protocol']}"
            facts += f", labels {'open' if bits is None else 'hidden'}{hidden}"
            stdout().print(f"{split['split']}: {facts}{', closed' if split['closed'] else ''}", soft_wrap=True)


@splits.command("close")
def close(
    key: SplitKey, reopen: Annotated[bool, typer.Option("--reopen", help="Accept submissions again.")] = False
) -> None:
    """Close a split to submissions, or reopen it with --reopen."""
    from .splits import close_split

    with _database().write() as session:
        close_split(session, key, not reopen)
    stdout().print(f"{key}: {'open' if reopen else 'closed'}")


@tokens.command("create")
def create(
    team: Annotated[str | None, typer.Argument(help="Name of the team; it is created if it does not exist.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Create an administrator's token instead.")] = False,
) -> None:
    """Create a token and print it once; only its hash is stored.

    Example: earthreason-leaderboard token create "Earth Lab"
    """
    from .tokens import create_token

    if (team is None) != admin:
        raise EarthReasonError("give either a team name or --admin; an administrator has no team")
    with _database().write() as session:
        number, secret = create_token(session, team, "admin" if admin else "submit")
    stderr().print(f"token {number} for {team or 'the organisers'}; it will not be shown again:")
    stdout().print(secret, soft_wrap=True)


@tokens.command("revoke")
def revoke(number: Annotated[int, typer.Argument(help="Token number from `token list`.")]) -> None:
    """Revoke a token and the sign-ins made with it."""
    from .tokens import revoke_token

    with _database().write() as session:
        revoke_token(session, number)
    stdout().print(f"token {number} is revoked")


@tokens.command("list")
def list_tokens(json_out: JsonOption = None) -> None:
    """List tokens by number, with team and state; the tokens themselves are not stored."""
    from datetime import UTC, datetime

    from sqlalchemy import select

    from .tables import Token

    with _database().read() as session:
        rows = [
            {
                "number": token.id,
                "created": datetime.fromtimestamp(token.created, UTC).strftime("%Y-%m-%d"),
                "state": "revoked" if token.revoked else token.scope,
                "team": token.team.name if token.team else "organisers",
            }
            for token in session.scalars(select(Token).order_by(Token.id))
        ]
    if report_json(json_out, rows):
        for token in rows:
            stdout().print("  ".join(map(str, token.values())), markup=False)


@app.command(context_settings=_IDS)
def flag(
    submission: Annotated[str, typer.Argument(help="Submission ID.")],
    reason: Annotated[
        str | None, typer.Option("--reason", help="Reason shown on the board; omit it to remove the flag.")
    ] = None,
) -> None:
    """Flag a row as doubtful. All readers see the flag and its reason."""
    from .submissions import set_flag
    from .tables import DELETED, Submission

    with _database().write() as session:
        stored = session.get(Submission, submission)
        if stored is None or stored.visibility == DELETED:
            raise EarthReasonError(f"there is no submission {submission!r}")
        set_flag(session, stored, reason)
    stdout().print(f"{submission}: {'not flagged' if reason is None else 'flagged'}")


@app.command(context_settings=_IDS)
def rescore(submissions: Annotated[list[str], typer.Argument(help="Submission IDs.")]) -> None:
    """Score submissions again, for example after a server failure.

    Example: earthreason-leaderboard rescore 3q2-7wAAAAAAAAAAAAAAAA
    """
    from .jobs import queue_again
    from .tables import Submission

    with _database().write() as session:
        for submission in submissions:
            if not queue_again(session, Submission.id == submission):
                raise EarthReasonError(f"no uploaded submission {submission!r}; nothing was queued")
    stdout().print(f"{len(submissions)} queued")


@app.command()
def backup(target: Annotated[Path, typer.Argument(help="File to write: .jsonl.gz.")]) -> None:
    """Back up the running board to one file, which contains hidden labels and token hashes."""
    from .backup import write_backup

    counts = write_backup(_database(), target)
    stdout().print(f"{target}: {', '.join(f'{name} {count}' for name, count in counts.items())}", soft_wrap=True)


@app.command()
def restore(source: Annotated[Path, typer.Argument(help="Backup to read, .jsonl.gz.")]) -> None:
    """Restore a backup into an empty database. This also moves a board between SQLite and PostgreSQL."""
    from .backup import restore_backup

    if not source.is_file():
        raise DataNotFoundError(f"there is no backup {source}")
    counts = restore_backup(_database(), source)
    stdout().print(f"restored: {', '.join(f'{name} {count}' for name, count in counts.items())}", soft_wrap=True)


def run() -> None:
    """Entry point of `earthreason-leaderboard`."""
    guard(app)


engines_cli.register(app)
results_cli.register(app)
people_cli.register(app)
