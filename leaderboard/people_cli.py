"""Commands for people: invitations, and the process that sends e-mails and webhooks."""

from __future__ import annotations

import os
import signal
import threading
from typing import Annotated

import typer

from earthreason.cli.app import stderr, stdout
from earthreason.errors import EarthReasonError


def invite(
    team: Annotated[
        str | None, typer.Argument(help="Team to own; without it, the link's holder names a new one.")
    ] = None,
) -> None:
    """Print a link by which somebody becomes an owner of a team. It is valid for a week and works once.

    Example: earthreason-leaderboard invite "Earth Lab"
    """
    from .database import Database
    from .links import create_link
    from .members import create_team
    from .settings import settings_from
    from .tables import INVITATION
    from .tokens import OWNER, find_team
    from .web.joining import join_url

    settings = settings_from(os.environ)
    if settings.base_url is None:
        raise EarthReasonError("set EARTHREASON_BOARD_BASE_URL to the board's public address; links begin with it")
    database = Database(settings.database_url)
    database.migrate()
    with database.write() as session:
        found = None if team is None else find_team(session, team)
        if team is not None and found is None:
            found = create_team(session, team)
        details = {"role": OWNER}
        secret = create_link(session, INVITATION, team_id=None if found is None else found.id, details=details)
        name = "a new team" if found is None else found.name
    stderr().print(f"invitation to {name}; it will not be shown again:", markup=False)
    stdout().print(join_url(settings, secret), soft_wrap=True)


def notify() -> None:
    """Send e-mails and webhooks that wait to be sent. `serve` also does this."""
    from .database import Database
    from .logs import set_up_logs
    from .notifier import Notifier
    from .private_files import write_privately
    from .processes import close_to_others
    from .settings import settings_from

    close_to_others()
    write_privately()
    set_up_logs()
    settings = settings_from(os.environ)
    database = Database(settings.database_url)
    database.wait(60)
    database.migrate()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Notifier(database, settings, stop).run()


def register(app: typer.Typer) -> None:
    """Add the commands to a program."""
    for command in (invite, notify):
        app.command()(command)
