"""Kill the processes of a leaderboard again and again while teams submit, and check that nothing is lost or doubled.

    python benchmarks/kill_drill.py --submissions 200 --kills 25
    python benchmarks/kill_drill.py --postgres          # on a PostgreSQL of its own, which is killed too

Each submission must be scored exactly once, with the figures of `earthreason-eval`. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import select

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this folder has a module of the package's name

from earthreason.board_client import BoardClient, ServerError  # noqa: E402
from earthreason.metrics.evaluate import evaluate  # noqa: E402
from leaderboard.database import Database  # noqa: E402
from leaderboard.splits import SplitContent, put_split  # noqa: E402
from leaderboard.tables import ScoredResult, Submission  # noqa: E402
from leaderboard.tokens import create_token  # noqa: E402
from tests.leaderboard.toys import METADATA, Cluster, free_port, make_predictions, make_references  # noqa: E402

TEAMS = 10
SETTINGS = {
    "RESAMPLES": "200",
    "TIME_LIMIT": "20",
    "LEASE_SECONDS": "25",
    "POLL_SECONDS": "0.05",
    "ATTEMPTS": "50",
    "OPEN_DAILY_LIMIT": "10000",
}


class Programs:
    """The web process and the workers, each started again when it has been killed."""

    def __init__(self, url: str, log: Path, workers: int) -> None:
        self.port, self.log = free_port(), log.open("wb")
        settings = {f"EARTHREASON_BOARD_{name}": value for name, value in SETTINGS.items()}
        self.environment = {**os.environ, **settings, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
        self.commands = [["web", "--port", str(self.port)], *[["worker"]] * workers]
        self.running = [self._start(command) for command in self.commands]

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "leaderboard", *command]
        return subprocess.Popen(program, env=self.environment, cwd=ROOT, stdout=self.log, stderr=self.log)

    def kill(self, number: int) -> str:
        """Kill -9 one process and start it again; return its name."""
        self.running[number].send_signal(signal.SIGKILL)
        self.running[number].wait()
        self.running[number] = self._start(self.commands[number])
        return self.commands[number][0]

    def end(self) -> None:
        """End all processes."""
        for process in self.running:
            process.kill()
            process.wait()
        self.log.close()


def submit(address: str, token: str, content: bytes, folder: Path) -> str:
    """Submit a file as `earthreason submit` does, and again while the server is away; return the submission's ID."""
    file = folder / f"{threading.get_ident()}.json"
    file.write_bytes(content)
    client = BoardClient(address, token, pause=0.2)
    while True:
        try:
            announced = client.announce("toy/open", file, METADATA, None)
            if announced["upload"] is not None:
                client.upload(announced["id"], file, lambda sent: None)
            return str(announced["id"])
        except ServerError as error:
            if error.status is not None and error.status < 500:
                raise
            time.sleep(0.5)


def states_of(database: Database) -> Counter[str]:
    """Count submissions by state."""
    with database.read() as session:
        return Counter(session.scalars(select(Submission.state)).all())


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; return whether it did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def drill(given: argparse.Namespace, url: str, folder: Path, cluster: Cluster | None) -> list[str]:
    """Run the drill; return its faults."""
    database = Database(url)
    database.migrate()
    references = make_references()
    with database.write() as session:
        put_split(session, "toy", "open", SplitContent(references, None), hidden=False)
        tokens = [create_token(session, f"Team {n}")[1] for n in range(TEAMS)]
    contents = [make_predictions(references, seed) for seed in range(given.submissions)]
    programs = Programs(url, folder / "log", given.workers)
    address, choose, killed = f"http://127.0.0.1:{programs.port}", random.Random(given.seed), Counter[str]()
    began = time.monotonic()
    try:
        with ThreadPoolExecutor(8) as pool:
            sent = [
                pool.submit(submit, address, tokens[n % TEAMS], content, folder) for n, content in enumerate(contents)
            ]
            for n in range(given.kills):
                scored = n * given.submissions // given.kills
                wait_for(lambda least=scored: states_of(database)["scored"] >= least, 300)  # type: ignore[misc]
                time.sleep(choose.random())
                if cluster is not None and n % 8 == 7:
                    cluster.kill()
                    cluster.start()
                    killed["postgresql"] += 1
                else:
                    killed[programs.kill(choose.randrange(len(programs.commands)))] += 1
            ids = [one.result(timeout=900) for one in sent]
        finished = wait_for(lambda: states_of(database) == {"scored": given.submissions}, 900)
    finally:
        programs.end()
    print(
        f"killed {sum(killed.values())}: {dict(killed)}; {time.monotonic() - began:.0f} s; {dict(states_of(database))}"
    )
    faults = [] if finished else [f"not all were scored: {dict(states_of(database))}"]
    return faults + faults_of(database, ids, contents, references, folder)


def faults_of(database: Database, ids: list[str], contents: list[bytes], references: Any, folder: Path) -> list[str]:
    """Compare the results with the submissions and with `earthreason-eval`."""
    faults = [] if len(set(ids)) == len(contents) else [f"{len(set(ids))} IDs for {len(contents)} files"]
    with database.read() as session:
        results = session.scalars(select(ScoredResult)).all()
        attempts = session.scalars(select(Submission.attempts)).all()
    counts = Counter(result.submission_id for result in results)
    faults += [f"{one}: {counts[one]} results" for one in ids if counts[one] != 1]
    records = {result.submission_id: result.record for result in results}
    for submission_id, content in zip(ids, contents, strict=True):
        (folder / "p.json").write_bytes(content)
        for protocol in ("segearth-r1", "native"):
            expected = evaluate(folder / "p.json", references, protocol, resamples=0).scores
            told = (
                records.get(submission_id, {}).get("protocols", {}).get(protocol, {}).get("scores", {}).get("all", {})
            )
            if {name: cell[0] for name, cell in told.items()} != {k: v for k, v in expected.items() if v is not None}:
                faults.append(f"{submission_id}, {protocol}: other figures than earthreason-eval")
    again = sum(attempt > 1 for attempt in attempts)
    print(f"{len(results)} results of {len(contents)} submissions; {again} were tried again")
    return faults


def main() -> None:
    """Run the drill on SQLite, or on a PostgreSQL of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true", help="use PostgreSQL and kill it, too")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kill-drill-"))
    cluster = None
    try:
        url = f"sqlite:///{folder}/board.sqlite3"
        if given.postgres:
            programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[-1].parent
            data = Path(tempfile.mkdtemp(prefix="kill-drill-postgres-"))
            cluster = Cluster(programs, data)
            url = cluster.create("drill")
        faults = drill(given, url, folder, cluster)
    finally:
        if cluster is not None:
            cluster.stop()
            shutil.rmtree(cluster.folder, ignore_errors=True)
    if faults:
        print(*faults[:20], f"log: {folder / 'log'}", sep="\n")
        raise SystemExit(1)
    shutil.rmtree(folder)
    print("nothing was lost or doubled, and every figure is that of earthreason-eval")


if __name__ == "__main__":
    main()
