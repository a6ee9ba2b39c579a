"""Wrong addresses of databases: nothing that is not a board is changed, and the message says what to do."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess

import pytest
from sqlalchemy import text

from earthreason.errors import EarthReasonError
from leaderboard.availability import Cause, UnavailableError
from leaderboard.database import Database
from leaderboard.tables import Team


def _foreign_database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()


def _text_file(path):
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")


def _folder(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_text_file, "is not a SQLite database"),
        (_folder, "is not a file"),
        (_foreign_database, "is a database of another program"),
    ],
)
def test_what_is_not_a_board_keeps_its_content_and_rights(tmp_path, make, message):
    target = tmp_path / "shared" / "target"
    target.parent.mkdir()
    make(target)
    for path in (target, target.parent):
        path.chmod(0o755)
    before = target.read_bytes() if target.is_file() else None
    with pytest.raises(EarthReasonError, match=message):
        Database(f"sqlite:///{target}")
    assert target.stat().st_mode & 0o777 == 0o755
    assert target.parent.stat().st_mode & 0o777 == 0o755
    assert (target.read_bytes() if target.is_file() else None) == before


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:board?uri=true"])
def test_a_database_without_a_file_is_refused(url):
    with pytest.raises(EarthReasonError, match="a board needs a file"):
        Database(url)


@pytest.mark.parametrize("url", ["", "board", "postgresql://u:geheim@127.0.0.1:port/board", "u:geheim"])
def test_an_invalid_address_is_one_line_without_its_password(url):
    with pytest.raises(EarthReasonError, match="is not a database URL") as caught:
        Database(url)
    assert "geheim" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_named_at_once(tmp_path):
    file = tmp_path / "board.sqlite3"
    file.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    with pytest.raises(EarthReasonError, match=r"damaged.*board\.sqlite3"):
        Database(f"sqlite:///{file}").wait(30)


@pytest.mark.postgres
def test_tables_of_another_program_stay_as_they_are(cluster):
    database = Database(cluster.create("foreign"))
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE teams (id integer, trainer text)"))
    with pytest.raises(EarthReasonError, match=r"another program has tables here \(teams\)"):
        database.migrate()
    with database.engine.connect() as connection:
        names = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
    assert names == ["teams"]
    database.engine.dispose()
    cluster.drop("foreign")


@pytest.fixture
def disk(tmp_path):
    """A disk that can be made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=False, stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("this user may not mount disks")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_board_on_a_read_only_disk_is_read_after_a_clean_stop_and_written_when_it_may_be(disk, tmp_path, migrated):
    file = disk / "board.sqlite3"
    shutil.copy(migrated("sqlite", None), file)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    database = Database(f"sqlite:///{file}")
    database.migrate()
    with database.read() as session:
        assert session.query(Team).count() == 0
    with pytest.raises(UnavailableError) as caught, database.write() as session:
        session.add(Team(name="Earth Lab", created=0.0))
    assert caught.value.cause is Cause.READ_ONLY
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    with database.write() as session:
        session.add(Team(name="Earth Lab", created=0.0))
    with database.read() as session:
        assert session.query(Team).count() == 1
    database.engine.dispose()
