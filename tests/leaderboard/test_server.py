"""The real program: processes that are killed, clients that are slow, and the API attacked by its own description."""

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from earthreason.board_client import BoardClient, ServerError
from leaderboard.splits import SplitContent, put_split
from leaderboard.tables import ScoredResult, Submission
from leaderboard.tokens import create_token
from tests.leaderboard.toys import METADATA, free_port, make_predictions, make_references

ROOT = Path(__file__).resolve().parents[2]


class Programs:
    """Processes of `earthreason-leaderboard`, as an operator would run them."""

    def __init__(self, url, log, **settings):
        self.port, self.log = free_port(), log
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "DATABASE_URL": url,
            "PYTHONPATH": str(ROOT),
            **{f"EARTHREASON_BOARD_{key.upper()}": str(value) for key, value in settings.items()},
        }
        self.running = []

    def start(self, *command):
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "leaderboard", *command], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )
        self.running.append(process)
        return process

    def web(self):
        return self.start("web", "--port", str(self.port))

    def worker(self):
        return self.start("worker")

    def wait(self, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            try:
                return urllib.request.urlopen(f"{self.address}/health", timeout=5).status
            except (OSError, urllib.error.URLError):
                assert time.monotonic() < deadline, self.log.read_text()[-3000:]
                time.sleep(0.1)

    def end(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def prepared(database, references):
    with database.write() as session:
        put_split(session, "toy", "open", SplitContent(references, None), hidden=False)
        return [create_token(session, f"Team {n}")[1] for n in range(10)]


@pytest.fixture
def programs(database_url, tmp_path):
    made = Programs(
        database_url,
        tmp_path / "log",
        resamples=50,
        time_limit=3,
        lease_seconds=4,
        poll_seconds=0.05,
        attempts=50,
        upload_seconds=1,
        open_daily_limit=1000,
    )
    yield made
    made.end()


def submit(address, token, content, folder):
    """As `earthreason submit` does, with its patience."""
    client = BoardClient(address, token, pause=0.2)
    file = folder / f"{threading.get_ident()}.json"
    file.write_bytes(content)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            announced = client.announce("toy/open", file, METADATA, None)
            if announced["upload"] is not None:
                client.upload(announced["id"], file, lambda sent: None)
            return announced["id"]
        except ServerError as error:
            if error.status is not None and error.status < 500:
                raise
            time.sleep(0.2)
    raise AssertionError("the server stayed away")


def wait_for_state(database, state):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with database.read() as session:
            if session.scalar(select(Submission.id).where(Submission.state == state).limit(1)):
                return
        time.sleep(0.005)
    raise AssertionError(f"no submission was ever {state}")


@pytest.mark.slow
def test_kill_9_of_web_worker_and_database_loses_and_doubles_nothing(
    programs, prepared, database, database_url, tmp_path, request
):
    """A hundred submissions while everything is killed again and again: each is scored, each once."""
    references = make_references()
    contents = [make_predictions(references, seed) for seed in range(100)]
    on_postgres = database_url.startswith("postgresql")
    web, workers = programs.web(), [programs.worker(), programs.worker()]
    programs.wait()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(submit, programs.address, prepared[n % 10], contents[n], tmp_path) for n in range(100)]
        for round_ in range(2):
            wait_for_state(database, "running")
            for worker in workers:
                worker.send_signal(signal.SIGKILL)
            workers = [programs.worker(), programs.worker()]
            time.sleep(0.5)
            web.send_signal(signal.SIGKILL)
            web.wait()
            web = programs.web()
            programs.wait()
            if on_postgres and round_ == 0:
                wait_for_state(database, "running")
                cluster = request.getfixturevalue("cluster")
                cluster.kill()
                time.sleep(0.5)
                cluster.start()
                programs.wait()
        ids = [one.result(timeout=120) for one in sent]
    assert len(set(ids)) == 100
    deadline = time.monotonic() + 120
    while True:
        with database.read() as session:
            states = Counter(session.scalars(select(Submission.state)).all())
        if states == {"scored": 100} or time.monotonic() > deadline:
            break
        time.sleep(0.3)
    assert states == {"scored": 100}
    with database.read() as session:
        results = Counter(session.scalars(select(ScoredResult.submission_id)).all())
        attempts = session.scalars(select(Submission.attempts)).all()
    assert results == dict.fromkeys(ids, 1)
    assert max(attempts) > 1  # some were being scored when their worker was killed


def test_two_announcements_at_once_take_one_place(hand, references, settings):
    contents = [make_predictions(references, seed) for seed in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(hand.announce, contents))
    assert Counter(answer.status_code for answer in answers) == {
        201: settings.daily_limit,
        429: 12 - settings.daily_limit,
    }


# --- slow clients ----------------------------------------------------------------------------------------------------


def drip(port, text, pause=0.2, seconds=12):
    """Send a byte at a time; returns the answer and how long it took to be rid of us."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(pause)
        answer = b""
        for byte in text:
            try:
                connection.sendall(bytes([byte]))
                answer += connection.recv(4096)
                break
            except TimeoutError:
                pass
            except OSError:
                break
            if time.monotonic() - began > seconds:
                break
    return answer, time.monotonic() - began


def test_slow_clients_are_hung_up_on_and_hold_up_nobody(programs, prepared, references, tmp_path, monkeypatch):
    programs.environment["EARTHREASON_BOARD_HEAD_SECONDS"] = "1"
    programs.web()
    programs.wait()
    token = prepared[0]
    file = tmp_path / "p.json"
    file.write_bytes(make_predictions(references))
    client = BoardClient(programs.address, token)
    announced = client.announce("toy/open", file, METADATA, None)
    head = (
        f"PUT /api/submissions/{announced['id']}/predictions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 100000\r\n\r\n"
    ).encode()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        never_ending_head = pool.submit(drip, programs.port, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 99)
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", programs.port)) as connection:
            connection.sendall(head + b"x")
            connection.settimeout(10)
            answer = connection.recv(4096)
        assert time.monotonic() - began < 8
        assert b" 408 " in answer.splitlines()[0]
        assert programs.wait() == 200
        assert never_ending_head.result()[1] < 8
    assert client.status(announced["id"])["state"] == "uploading"
    client.upload(announced["id"], file, lambda sent: None)
    assert client.status(announced["id"])["state"] == "queued"


# --- the API by its own description ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_schemathesis_finds_nothing(programs, prepared):
    pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install -e .[dev]")
    programs.environment["EARTHREASON_BOARD_GUESSES_PER_MINUTE"] = "100000"
    programs.web()
    programs.wait()
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            f"{programs.address}/api/openapi.json",
            "-H",
            f"Authorization: Bearer {prepared[0]}",
            "--max-examples",
            "3",
            "--checks",
            "all",
            "--no-color",
            "--seed",
            "1",
            "--suppress-health-check",
            "too_slow",
            "--phases",
            "examples,coverage,fuzzing",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=programs.log.parent,
    )
    assert done.returncode == 0, done.stdout[-6000:]


# --- serve -----------------------------------------------------------------------------------------------------------


def test_serve_is_one_command_and_starts_again_what_ends(programs, prepared, references, tmp_path):
    supervisor = programs.start("serve", "--port", str(programs.port))
    programs.wait()
    children = subprocess.run(["pgrep", "-P", str(supervisor.pid)], capture_output=True, text=True, check=True).stdout
    assert len(children.split()) == 3  # web, notifier and worker
    for child in children.split():
        os.kill(int(child), signal.SIGKILL)
    submission_id = submit(programs.address, prepared[0], make_predictions(references), tmp_path)
    told = BoardClient(programs.address, prepared[0]).follow(submission_id, 40)
    assert told["state"] == "scored"
    supervisor.terminate()
    assert supervisor.wait(15) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{programs.address}/health", timeout=2)


def test_logs_are_lines_of_json(programs, prepared, references, tmp_path):
    programs.web()
    programs.wait()
    submit(programs.address, prepared[0], make_predictions(references), tmp_path)
    programs.end()  # a request is logged after its answer has left
    lines = [json.loads(line) for line in programs.log.read_text().splitlines()]
    put = next(line for line in lines if line.get("method") == "PUT")
    assert put["status"] == 200
    assert prepared[0] not in programs.log.read_text()
