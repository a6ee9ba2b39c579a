"""A small board on SQLite and on a private PostgreSQL, a client, a worker that is run by hand."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the leaderboard extra is not installed")
from fastapi.testclient import TestClient

from leaderboard.database import Database
from leaderboard.sandbox import Sandbox
from leaderboard.settings import Settings
from leaderboard.splits import SplitContent, put_split
from leaderboard.tokens import create_token
from leaderboard.web.app import create_app
from leaderboard.worker import Worker
from tests.leaderboard.toys import Cluster, Hand, make_references, make_scenes

# --- databases -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def cluster():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL's programs are not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="board-postgres-"))
    server = Cluster(found[-1].parent, folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """Files and databases with tables, to be copied: migrating anew for every test would take most of the time."""
    made = {}

    def get(kind, request):
        if kind not in made:
            if kind == "sqlite":
                made[kind] = tmp_path_factory.mktemp("template") / "board.sqlite3"
                database = Database(f"sqlite:///{made[kind]}")
            else:
                made[kind] = "board_template"
                database = Database(request.getfixturevalue("cluster").create(made[kind]))
            database.migrate()
            database.engine.dispose()
        return made[kind]

    return get


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request, tmp_path, migrated):
    template = migrated(request.param, request)
    if request.param == "sqlite":
        target = tmp_path / "board.sqlite3"
        for file in template.parent.glob(f"{template.name}*"):
            shutil.copy(file, target.with_name(file.name))
        yield f"sqlite:///{target}"
        return
    name = "test_" + hashlib.blake2b(request.node.nodeid.encode(), digest_size=8).hexdigest()
    cluster = request.getfixturevalue("cluster")
    yield cluster.create(name, template)
    cluster.drop(name)


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.engine.dispose()


# --- a board ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def references():
    return make_references()


@pytest.fixture
def board(database, references):
    """A hidden and an open split, and a token of a team."""
    with database.write() as session:
        put_split(session, "toy", "test", SplitContent(references, None), hidden=True)
        put_split(session, "toy", "open", SplitContent(references, make_scenes(references)), hidden=False)
        return {
            "alpha": create_token(session, "Team Alpha")[1],
            "beta": create_token(session, "Team Beta")[1],
            "admin": create_token(session, None, "admin")[1],
        }


@pytest.fixture
def settings(database_url):
    return Settings(
        database_url=database_url, max_upload_mib=4, time_limit=20, lease_seconds=30, memory_mib=512, resamples=200
    )


@pytest.fixture
def client(settings, database, board):
    with TestClient(create_app(settings, database), raise_server_exceptions=False) as made:
        yield made


@pytest.fixture(scope="session")
def sandbox():
    with Sandbox() as running:
        yield running


@pytest.fixture
def hand(client, settings, database, board, sandbox, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Hand(client, Worker(database, settings, scratch), sandbox, board)
