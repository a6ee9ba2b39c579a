"""Open the database, bring its tables up to date, read and write in transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, insert, text, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from earthreason.errors import EarthReasonError
from leaderboard.availability import naming_the_cause
from leaderboard.listing import bring_up_to_date, is_up_to_date
from leaderboard.private_files import keep_private
from leaderboard.tables import Upload, Version

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "head"
_NO_FILE = "0" * 64
LOCK_SECONDS = 20
"""Longest wait for another process that writes to a SQLite file."""
_MIGRATION_LOCK = 7_351_004_961  # any number that no other program locks


class Database:
    """A SQLite or PostgreSQL database. The files of SQLite, which hold labels, are made readable by their owner only.

    Attributes:
        file: file of a SQLite database; None for one in memory, and for PostgreSQL.

    Raises:
        EarthReasonError: the URL is invalid, or the kind of database is not supported.
    """

    def __init__(self, url: str) -> None:
        try:
            self.url = make_url(url)
        except ArgumentError:
            raise EarthReasonError(f"DATABASE_URL is not a database URL: {url[:20]}...") from None
        if self.url.drivername in ("postgres", "postgresql"):
            self.url = self.url.set(drivername="postgresql+psycopg")
        if self.url.drivername not in ("sqlite", "postgresql+psycopg"):
            raise EarthReasonError(f"DATABASE_URL: {self.url.drivername} is not supported; use sqlite or postgresql")
        self.file = _file_of(self.url)
        if self.file is not None:
            keep_private(self.file)
        self.engine = _open_engine(self.url.render_as_string(hide_password=False))

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a transaction that only reads.

        Raises:
            UnavailableError: the database cannot be read at the moment.
        """
        with naming_the_cause(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a transaction that commits when the block succeeds and rolls back otherwise.

        Raises:
            UnavailableError: the database cannot be written at the moment.
        """
        engine = self.engine.execution_options(writes=True)
        with naming_the_cause(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self, revision: str = HEAD) -> None:
        """Create the tables or bring them up to date. Several processes may call this at once.

        Args:
            revision: version of the tables; "head" is the newest.

        Raises:
            EarthReasonError: the tables were made by a newer version of this program.
        """
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with naming_the_cause():
            self._upgrade(config, revision)

    def _upgrade(self, config: Config, revision: str) -> None:
        scripts = ScriptDirectory.from_config(config)
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if revision == HEAD and current == scripts.get_current_head():
                with Session(connection) as session:
                    if is_up_to_date(session):
                        return  # nothing to write, so a board that can only be read serves its pages
        engine = self.engine.execution_options(writes=True)
        with engine.begin() as connection:
            if not self.is_sqlite:  # SQLite's write transaction is exclusive already
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            current = MigrationContext.configure(connection).get_current_revision()
            known = {script.revision for script in scripts.walk_revisions()}
            if current is not None and current not in known:
                raise EarthReasonError(
                    f"a newer version of earthreason made this database ({current}); update earthreason"
                )
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            if revision == HEAD:
                with Session(connection) as session:
                    bring_up_to_date(session)
                    session.flush()

    def check_writable(self, size: int = 0) -> None:
        """Write and roll back, to find out whether writing works.

        Args:
            size: bytes of a file to try; enough of them find a full disk, which a small change may still fit on.

        Raises:
            UnavailableError: the database cannot be written at the moment.
        """
        engine = self.engine.execution_options(writes=True)
        with naming_the_cause(), engine.connect() as connection, connection.begin() as transaction:
            connection.execute(update(Version).values(number=Version.number))
            if size:
                connection.execute(insert(Upload).values(sha256=_NO_FILE, content=bytes(size)))
            transaction.rollback()

    def wait(self, seconds: float) -> None:
        """Wait for a database to start.

        Raises:
            EarthReasonError: the database did not answer in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.engine.connect() as connection:
                    connection.execute(text("SELECT 1"))
            except OperationalError as error:
                if time.monotonic() > deadline:
                    reason = str(error.orig).strip().splitlines()[0]
                    raise EarthReasonError(f"the database does not answer: {reason}") from None
                time.sleep(0.2)
            else:
                return


def _file_of(url: URL) -> Path | None:
    name = url.database or ""
    if not url.drivername.startswith("sqlite") or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return Path(name)


def _open_engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    engine = create_engine(url, connect_args={"timeout": LOCK_SECONDS}, pool_size=10, max_overflow=20)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, see below
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that begins as a read and then writes fails if another one has written in between.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
