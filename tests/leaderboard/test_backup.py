"""Backups: what they hold, where they may be written, and what a damaged one does."""

import gzip
import json
import shutil

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from earthreason.errors import DataFormatError, EarthReasonError
from leaderboard.backup import restore_backup, write_backup
from leaderboard.cli import app
from leaderboard.database import Database
from leaderboard.splits import SplitContent, put_split
from leaderboard.tables import Submission
from leaderboard.tokens import create_token, find_caller
from tests.leaderboard.toys import make_predictions


def test_a_backup_restores_everything_on_either_database(hand, references, database, tmp_path, board):
    submission_id = hand.published(make_predictions(references), split="toy/open")
    waiting = hand.submit(make_predictions(references, 1), split="toy/open")
    counts = write_backup(database, tmp_path / "board.jsonl.gz")
    assert (tmp_path / "board.jsonl.gz").stat().st_mode & 0o077 == 0
    other = Database(f"sqlite:///{tmp_path}/restored.sqlite3")
    assert restore_backup(other, tmp_path / "board.jsonl.gz") == counts
    with database.read() as session, other.read() as restored:
        before, after = session.get(Submission, submission_id), restored.get(Submission, submission_id)
        assert (before.state, before.visibility, before.details) == (after.state, after.visibility, after.details)
        assert restored.get(Submission, waiting).state == "queued"
        assert find_caller(restored, board["alpha"]).team == "Team Alpha"
    hand.worker.database = other  # and the work goes on there
    assert hand.score() == 1


@pytest.mark.postgres
def test_a_board_moves_from_sqlite_to_postgresql(cluster, tmp_path, references):

    source = Database(f"sqlite:///{tmp_path}/a.sqlite3")
    source.migrate()
    with source.write() as session:
        put_split(session, "toy", "test", SplitContent(references, None), hidden=True)
        secret = create_token(session, "Team Alpha")[1]
    write_backup(source, tmp_path / "b.gz")
    target = Database(cluster.create("moved"))
    restore_backup(target, tmp_path / "b.gz")
    with target.write() as session:
        assert find_caller(session, secret).team == "Team Alpha"
        create_token(session, "Team Beta")  # numbers go on where they stood
    target.engine.dispose()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_a_backup_never_replaces_the_database(tmp_path, migrated, suffix):
    file = tmp_path / "board.sqlite3"
    shutil.copy(migrated("sqlite", None), file)
    (tmp_path / "link").symlink_to(tmp_path)
    database = Database(f"sqlite:///{file}")
    with database.write() as session:
        create_token(session, "Team Alpha")
    with pytest.raises(EarthReasonError, match="is the database itself"):
        write_backup(database, tmp_path / "link" / f"board.sqlite3{suffix}")
    with database.read() as session:
        assert session.execute(text("SELECT name FROM teams")).scalars().all() == ["Team Alpha"]
    database.engine.dispose()


def test_half_a_backup_restores_nothing(hand, database, tmp_path):
    write_backup(database, tmp_path / "whole.gz")
    lines = gzip.decompress((tmp_path / "whole.gz").read_bytes()).decode().splitlines(keepends=True)
    with gzip.open(tmp_path / "half.gz", "wt") as file:
        file.writelines(lines[:-1])
    other = Database(f"sqlite:///{tmp_path}/other.sqlite3")
    with pytest.raises(DataFormatError, match="is truncated"):
        restore_backup(other, tmp_path / "half.gz")
    with other.read() as session:
        assert session.execute(text("SELECT count(*) FROM teams")).scalar() == 0
    assert restore_backup(other, tmp_path / "whole.gz")["teams"] == 2


def test_a_backup_of_the_first_version_is_restored(hand, references, database, tmp_path):
    waiting = hand.submit(make_predictions(references))
    write_backup(database, tmp_path / "new.gz")
    with gzip.open(tmp_path / "new.gz", "rt") as new, gzip.open(tmp_path / "old.gz", "wt") as old:
        for line in map(json.loads, new):
            for column in ("queued_at", "host_fault"):
                line.get("row", {}).pop(column, None)
            old.write(json.dumps(line) + "\n")
    other = Database(f"sqlite:///{tmp_path}/other.sqlite3")
    restore_backup(other, tmp_path / "old.gz")
    with other.read() as session:
        found = session.get(Submission, waiting)
        assert found.queued_at == found.uploaded is not None
        assert found.host_fault is False


def test_a_backup_is_not_restored_over_a_board(hand, database, tmp_path):
    write_backup(database, tmp_path / "b.gz")
    with pytest.raises(EarthReasonError, match="not empty"):
        restore_backup(database, tmp_path / "b.gz")
    (tmp_path / "c.gz").write_bytes(b"no backup")
    with pytest.raises(DataFormatError, match="backup"):
        restore_backup(Database(f"sqlite:///{tmp_path}/other.sqlite3"), tmp_path / "c.gz")


def test_a_backup_that_is_not_there_makes_no_database(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/new.sqlite3")
    done = CliRunner().invoke(app, ["restore", str(tmp_path / "none.gz")])
    assert "there is no backup" in str(done.exception)
    assert list(tmp_path.iterdir()) == []
