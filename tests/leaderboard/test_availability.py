"""Databases and disks that fail while a board runs: what clients, health and logs say, and that nothing is lost."""

import gzip
import json
import sqlite3
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from earthreason.errors import DataFormatError
from leaderboard import sandbox as sandbox_module
from leaderboard.availability import Cause, UnavailableError
from leaderboard.backup import restore_backup, write_backup
from leaderboard.database import Database
from leaderboard.jobs import claim_job
from leaderboard.sandbox import NO_DISK, STARVED
from leaderboard.settings import Settings
from leaderboard.tables import Submission
from leaderboard.web.app import create_app
from tests.leaderboard.toys import make_predictions


def make_read_only(database):
    if database.is_sqlite:
        from sqlalchemy import event

        @event.listens_for(database.engine, "connect")
        def _refuse(connection, _):
            connection.execute("PRAGMA query_only=ON")

    else:
        with database.engine.connect() as connection, connection.begin():
            name = database.url.database
            connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    database.engine.dispose()


def make_full(database):
    """SQLite counts pages as a disk would run out of room."""
    from sqlalchemy import event

    with database.engine.connect() as connection:
        pages = connection.scalar(text("PRAGMA page_count"))

    @event.listens_for(database.engine, "connect")
    def _limit(connection, _):
        connection.execute(f"PRAGMA max_page_count={pages + 2}")

    database.engine.dispose()


def causes_in(caplog):
    return {record.facts["cause"] for record in caplog.records if getattr(record, "facts", {}).get("cause")}


@pytest.fixture
def logged(caplog, monkeypatch):
    import logging

    monkeypatch.setattr(logging.getLogger("leaderboard"), "propagate", True)
    return caplog


def test_a_database_that_can_only_be_read_answers_503_to_writes_and_still_shows_its_pages(
    hand, references, database, logged
):
    submission_id = hand.published(make_predictions(references))
    make_read_only(database)
    answer = hand.announce(make_predictions(references, 1))
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "2"
    assert "can only be read" in answer.json()["error"]
    assert hand.set(submission_id, "withdrawn").status_code == 503
    health = hand.client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "read-only")
    assert health.headers["retry-after"] == "2"
    assert submission_id in hand.client.get("/?split=toy/test").text
    assert causes_in(logged) == {"read-only"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_answers_503_keeps_nothing_half_and_goes_on_when_there_is_room(hand, references, database, logged):
    make_full(database)
    large = json.dumps({"info": {"x": "y" * 3_000_000}, "predictions": []}).encode()
    announced = hand.announce(large)
    path = f"/api/submissions/{announced.json()['id']}/predictions"
    answer = hand.client.put(path, content=large, headers=hand.headers())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "disk is full" in answer.json()["error"]
    health = hand.client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "full")
    assert hand.get(announced.json()["id"]).json()["state"] == "uploading"
    assert causes_in(logged) == {"full"}
    database.engine.dispose()
    with database.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA max_page_count=1000000")
        assert hand.client.get("/health").status_code in (200, 503)
    from sqlalchemy import event

    @event.listens_for(database.engine, "connect")
    def _unlimit(connection, _):
        connection.execute("PRAGMA max_page_count=1000000")

    database.engine.dispose()
    assert hand.client.put(path, content=large, headers=hand.headers()).status_code == 200
    assert hand.client.get("/health").status_code == 200


def test_a_temporary_disk_that_is_full_answers_503(hand, references, monkeypatch):
    import errno

    announced = hand.announce(make_predictions(references)).json()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("leaderboard.web.uploads.tempfile.SpooledTemporaryFile", full)
    path = f"/api/submissions/{announced['id']}/predictions"
    answer = hand.client.put(path, content=b"x", headers=hand.headers())
    assert (answer.status_code, "disk is full" in answer.json()["error"]) == (503, True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_locked_database_answers_503(hand, references, database, database_url, logged):
    from sqlalchemy import event

    @event.listens_for(database.engine, "connect")
    def _hurry(connection, _):
        connection.execute("PRAGMA busy_timeout=200")

    database.engine.dispose()
    lock = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    answer = hand.announce(make_predictions(references))
    assert (answer.status_code, "locked" in answer.json()["error"]) == (503, True)
    assert hand.client.get("/health").json()["status"] == "locked"
    lock.execute("ROLLBACK")
    lock.close()
    assert hand.announce(make_predictions(references)).status_code == 201
    assert causes_in(logged) == {"locked"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_damaged_database_is_503_and_named(hand, database, database_url, logged):
    database.engine.dispose()
    path = database_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with Path(path).open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)
    assert hand.client.get("/health").status_code == 503
    assert causes_in(logged) == {"damaged"}


@pytest.mark.postgres
def test_a_postgresql_that_stops_within_a_request_is_503(cluster):
    database = Database(cluster.create("stops"))
    database.migrate()
    with pytest.raises(UnavailableError) as raised, database.write() as session:
        session.execute(text("SELECT 1"))
        cluster.kill()
        cluster.start()
        session.execute(text("SELECT 1"))
    assert raised.value.cause is Cause.ABSENT
    with TestClient(create_app(Settings(), database)) as client:
        assert client.get("/health").status_code == 200


def test_a_worker_waits_for_a_database_that_can_be_written_again(hand, references, database, monkeypatch, logged):
    """As long as the database fails, the worker tries again and says why."""
    hand.submit(make_predictions(references))
    failures = [Cause.FULL, Cause.READ_ONLY]
    real = database.write

    def failing():
        if failures:
            raise UnavailableError(failures.pop(0), "words of the driver")
        return real()

    monkeypatch.setattr(database, "write", failing)
    monkeypatch.setattr("leaderboard.worker._RETRY_SECONDS", 0.01)
    assert hand.score() == 1
    assert causes_in(logged) == {"full", "read-only"}


@pytest.mark.parametrize("outcome", [STARVED, NO_DISK])
def test_a_machine_that_fails_is_not_the_files_fault_and_retries_are_bounded(
    hand, references, database, settings, monkeypatch, outcome
):
    submission_id = hand.submit(make_predictions(references))
    monkeypatch.setattr(hand.sandbox, "score", lambda *_: outcome)
    for attempt in range(settings.attempts):
        assert hand.score() == 1
        told = hand.get(submission_id).json()
        assert (told["state"], told["error"]) == ("running", None), attempt
        with database.write() as session:
            session.get(Submission, submission_id).lease_until = 1.0
    with database.write() as session:
        assert claim_job(session, settings) is None
    told = hand.get(submission_id).json()
    assert told["state"] == "failed"
    assert "through no fault of the file" in told["error"]


def test_a_sandbox_without_disk_says_so(tmp_path, monkeypatch):
    import errno
    import os

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sandbox_module, "_limit", full)
    child = os.fork()
    if child == 0:
        sandbox_module._run_child(tmp_path, None)
    assert sandbox_module._wait_for(child, 30) == NO_DISK


# --- backups ---------------------------------------------------------------------------------------------------------


def damaged(lines, how):
    first, row, *rest = lines
    value = json.loads(row)
    if how == "unknown table":
        value["table"] = "gadgets"
    elif how == "unknown column":
        value["row"]["colour"] = 1
    elif how == "no row":
        del value["row"]
    elif how == "wrong type":
        value["row"]["number"] = {"a": 1}
    elif how == "missing value":
        value["row"]["number"] = None
    elif how == "list":
        return [first, "[1]\n", *rest]
    elif how == "end":
        return [first, '{"end": 3}\n']
    elif how == "half a line":
        return [first, row[: len(row) // 2]]
    elif how == "twice":
        return [first, row, row, *rest]
    elif how == "base64":
        at = next(n for n, line in enumerate(lines) if '"truth":' in line)
        split = json.loads(lines[at])
        split["row"]["truth"] = "!"
        return [*lines[:at], json.dumps(split) + "\n", *lines[at + 1 :]]
    return [first, json.dumps(value) + "\n", *rest]


@pytest.mark.parametrize(
    "how",
    [
        "unknown table",
        "unknown column",
        "no row",
        "wrong type",
        "missing value",
        "list",
        "end",
        "half a line",
        "twice",
        "base64",
    ],
)
def test_a_malformed_backup_is_one_line_and_restores_nothing(hand, database, tmp_path, how, request):
    write_backup(database, tmp_path / "whole.gz")
    lines = gzip.decompress((tmp_path / "whole.gz").read_bytes()).decode().splitlines(keepends=True)
    with gzip.open(tmp_path / "bad.gz", "wt") as file:
        file.writelines(damaged(lines, how))
    url = f"sqlite:///{tmp_path}/other.sqlite3"
    if not database.is_sqlite:
        url = request.getfixturevalue("cluster").create(f"bad_{how.replace(' ', '_')}")
    other = Database(url)
    with pytest.raises(DataFormatError) as raised:
        restore_backup(other, tmp_path / "bad.gz")
    assert len(str(raised.value).splitlines()) == 1
    assert "nothing was restored" in str(raised.value)
    with other.read() as session:
        assert session.scalar(text("SELECT count(*) FROM teams")) == 0
    other.engine.dispose()


def test_bytes_that_are_no_gzip_are_one_line(tmp_path):
    whole = gzip.compress(b'{"format": "earthreason-leaderboard-backup/1"}\n' + b"x" * 1000)
    for n, content in enumerate((b"", b"no backup", whole[:20], whole[:-9], whole[:14] + b"\xff" * 20, b"\x1f\x8b")):
        path = tmp_path / str(n)
        path.write_bytes(content)
        with pytest.raises(DataFormatError) as raised:
            restore_backup(Database(f"sqlite:///{tmp_path}/{n}.sqlite3"), path)
        assert len(str(raised.value).splitlines()) == 1
