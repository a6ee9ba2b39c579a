"""Many connections of one client, and addresses in the log, on the real server."""

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from leaderboard.private_files import keep_private
from tests.leaderboard.test_server import Programs

IDLE = 1100
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def web(database_url, tmp_path):
    made = Programs(database_url, tmp_path / "log")
    made.environment["EARTHREASON_BOARD_HEAD_SECONDS"] = "120"
    made.web()
    made.wait(120)
    yield made
    made.end()


FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\n"
BODY = b"POST /sign-in HTTP/1.1\r\nHost: x\r\n" + FORM


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX-Half: ", BODY], ids=["nothing", "half a head", "no body"])
def test_1100_idle_connections_of_one_client_keep_nobody_out(web, begun):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    held = []
    try:
        for _ in range(IDLE):
            held.append(socket.create_connection(("127.0.0.1", web.port)))
            if begun:
                held[-1].sendall(begun)
        for _ in range(20):
            with urllib.request.urlopen(f"{web.address}/health", timeout=240) as answer:
                assert answer.status == 200
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def requests_in(log):
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "request"]


def ask(address, forwarded=None):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(f"{address}/nowhere", headers=headers), timeout=10)


@pytest.mark.parametrize(
    ("trusted", "logged"), [("127.0.0.1", ["127.0.0.1", "203.0.113.7"]), ("192.0.2.1", ["127.0.0.1", "127.0.0.1"])]
)
def test_the_log_has_the_address_that_a_trusted_proxy_names(database_url, tmp_path, trusted, logged):
    made = Programs(database_url, tmp_path / "log")
    made.environment["FORWARDED_ALLOW_IPS"] = trusted
    try:
        made.web()
        made.wait(120)
        ask(made.address)
        ask(made.address, "203.0.113.7")
    finally:
        made.end()
    assert [line["client"] for line in requests_in(made.log)] == logged


def test_addresses_are_hashed_on_request(database_url, tmp_path):
    made = Programs(database_url, tmp_path / "log", hash_addresses="true")
    try:
        made.web()
        made.wait(120)
        ask(made.address, "203.0.113.7")
        ask(made.address, "203.0.113.8")
        ask(made.address, "203.0.113.7")
    finally:
        made.end()
    first, second, third = (line["client"] for line in requests_in(made.log))
    assert first == third != second
    assert "203.0.113" not in made.log.read_text()


def test_the_database_and_its_folder_are_the_owners_only(web, database_url):
    path = database_url.removeprefix("sqlite:///")
    files = [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_a_folder_of_the_board_alone_is_closed_and_others_stay_as_they_are(tmp_path, database_url):
    own, shared = tmp_path / "own", tmp_path / "shared"
    for folder in (own, shared):
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask is
        (folder / "board.sqlite3").touch()
        (folder / "board.sqlite3").chmod(0o644)
    (shared / "index.html").touch()
    for folder in (own, shared, tmp_path / "new" / "deep"):
        keep_private(folder / "board.sqlite3")
        assert (folder / "board.sqlite3").stat().st_mode & 0o777 == 0o600
    modes = [folder.stat().st_mode & 0o777 for folder in (own, shared, tmp_path / "new" / "deep")]
    assert modes == [0o700, 0o755, 0o700]
