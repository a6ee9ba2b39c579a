"""Measure the leaderboard with many rows: pages, memory, a publication, and a flood beside a normal visitor.

    python benchmarks/board_scale.py --rows 100 1000 10000

For each number of rows it fills a new SQLite file (or the empty database of --url, one number only), starts
`earthreason-leaderboard web` on it and asks over HTTP. The rows are results of real scoring whose figures are shifted;
a sample of them passes the checks for results. Flood and visitor have two addresses of this machine. Ratios and
processor times say more than seconds on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this folder has a module of the package's name

from sqlalchemy import select  # noqa: E402

from benchmarks.board_rows import SPLIT, fill  # noqa: E402
from leaderboard.database import Database  # noqa: E402
from leaderboard.tables import Submission  # noqa: E402

VISITOR, FLOODER = "127.0.0.1", "127.0.0.2"


# --- a small client --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What came back, and how long it took in seconds."""

    status: int
    body: bytes
    seconds: float


class Client:
    """A connection that is kept open, from one address of this machine."""

    def __init__(self, port: int, source: str = VISITOR) -> None:
        self.port, self.source = port, source
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, path: str, method: str = "GET", token: str = "", content: dict[str, Any] | None = None
    ) -> Answer:
        began = time.perf_counter()
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.source, 0))
        reader, writer = self._open
        body = b"" if content is None else json.dumps(content).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: board\r\nAccept-Encoding: gzip\r\n"
        head += f"Authorization: Bearer {token}\r\n" if token else ""
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        try:
            writer.write(head.encode() + b"\r\n" + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            headers = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
            if b"chunked" in headers.get(b"transfer-encoding", b""):
                content_bytes = await self._chunks(reader)
            else:
                content_bytes = await reader.readexactly(int(headers.get(b"content-length", b"0")))
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            self._open = None
            return Answer(0, b"", time.perf_counter() - began)
        if headers.get(b"connection") == b"close":
            writer.close()
            self._open = None
        return Answer(int(lines[0].split()[1]), content_bytes, time.perf_counter() - began)

    @staticmethod
    async def _chunks(reader: asyncio.StreamReader) -> bytes:
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)


def percentiles(values: list[float]) -> str:
    """Format median and 95th percentile in milliseconds."""
    median, high = np.percentile(values, [50, 95]) * 1000
    return f"p50 {median:.1f} p95 {high:.1f} ms"


# --- the server ------------------------------------------------------------------------------------------------------


class Server:
    """`earthreason-leaderboard web` on a free port, with what it takes of memory and processor."""

    def __init__(self, url: str, log: Path, port: int) -> None:
        self.port = port
        environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
        with log.open("wb") as file:
            command = [sys.executable, "-m", "leaderboard", "web", "--port", str(port)]
            self.process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=file)

    def wait(self) -> None:
        """Wait until it answers."""

        async def look() -> None:
            for _ in range(1200):
                try:
                    if (await Client(self.port).ask("/health")).status == 200:
                        return
                except OSError:
                    await asyncio.sleep(0.1)
            raise SystemExit("the server does not answer")

        asyncio.run(look())

    def memory(self) -> tuple[float, float]:
        """Return resident memory and its peak, MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        return int(sizes["VmRSS"]) / 1024, int(sizes["VmHWM"]) / 1024

    def seconds(self) -> float:
        """Return the processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


# --- measurements ----------------------------------------------------------------------------------------------------


def fresh_pages(ids: list[str], seed: int) -> Iterator[str]:
    """Yield pages that nobody has asked for: other filters, orders and places of the table, and models."""
    rng = random.Random(seed)
    while True:
        yield f"/?split={SPLIT}&since={2024 + rng.randrange(2)}-{1 + rng.randrange(12):02d}-{1 + rng.randrange(28):02d}"
        sort = rng.choice(("gIoU", "cIoU", "Pr@0.5", "date", "model"))
        yield f"/?split={SPLIT}&sort={sort}&page={1 + rng.randrange(max(1, len(ids) // 50))}"
        yield f"/models/{rng.choice(ids)}"


async def visit(port: int, ids: list[str], seconds: float, rate: float, seed: int) -> dict[str, list[float]]:
    """Visit as a reader does: the home page, which others read too, and in turn a page that nobody has read."""
    pages, client = fresh_pages(ids, seed), Client(port)
    times: dict[str, list[float]] = {"home": [], "fresh": []}
    began = time.perf_counter()
    for n in range(int(seconds * rate)):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        kind = ("home", "fresh")[n % 2]
        answer = await client.ask("/" if kind == "home" else next(pages))
        if answer.status == 200:
            times[kind].append(answer.seconds)
        elif n:
            print(f"    the visitor got {answer.status}")
    return times


def flood_paths(kind: str, ids: list[str], seed: int) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Yield path, method and content of the requests of a flood."""
    rng = random.Random(seed)
    if kind == "dates":
        for n in itertools.count():
            yield f"/?split={SPLIT}&since={1000 + n % 1026}-{1 + n % 12:02d}-{1 + n // 12 % 28:02d}", "GET", None
    elif kind == "comparisons":
        while True:
            chosen = rng.sample(ids[:12], 4)
            yield "/compare?" + "&".join(f"ids={one}" for one in chosen), "GET", None
    elif kind == "wins":
        while True:
            yield f"/wins?split={SPLIT}&largest={rng.uniform(1000, 70_000)}", "GET", None
    else:
        for n in itertools.count():
            yield f"/api/submissions/{ids[0]}", "PATCH", {"visibility": ("private", "public")[n % 2]}


def flood(answers: Any, stop: Any, port: int, kind: str, ids: list[str], token: str, connections: int) -> None:
    """Ask without pause on several connections until told to stop; report the answers by status."""
    seen: Counter[int] = Counter()

    async def one(seed: int) -> None:
        client = Client(port, FLOODER)
        for path, method, content in flood_paths(kind, ids, seed):
            if stop.is_set():
                return
            try:
                seen[(await client.ask(path, method, token if method == "PATCH" else "", content)).status] += 1
            except OSError:
                await asyncio.sleep(0.05)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(n) for n in range(connections)))

    asyncio.run(all_of_them())
    answers.put(dict(seen))


def measure(server: Server, ids: list[str], token: str, given: argparse.Namespace) -> None:
    """Print the measurements of one size."""

    async def timed(paths: list[str]) -> list[Answer]:
        client = Client(server.port)
        answers = []
        for path in paths:
            answers.append(await client.ask(path))
            await asyncio.sleep(given.pause)
        return answers

    (first,) = asyncio.run(timed(["/"]))
    plain = asyncio.run(plain_size(server.port))
    print(f"  first draw {first.seconds:.2f} s, HTML {plain / 1000:.0f} kB, sent {len(first.body) / 1000:.0f} kB")
    cached = asyncio.run(timed(["/"] * 100))
    print(f"  home page again: {percentiles([answer.seconds for answer in cached])}")
    before = server.seconds()
    fresh = asyncio.run(timed(list(itertools.islice(fresh_pages(ids, 1), given.draws))))
    used = (server.seconds() - before) / given.draws
    print(f"  fresh pages: {percentiles([answer.seconds for answer in fresh])}, processor {1000 * used:.0f} ms a page")
    asyncio.run(publications(server, ids, token, given))
    alone = asyncio.run(visit(server.port, ids, given.seconds, given.rate, 2))
    for kind, times in alone.items():
        print(f"  visitor alone, {kind}: {percentiles(times)}")
    for number, kind in enumerate(given.floods):
        beside(server, ids, token, given, kind, alone, 3 + number)
    print("  memory of the web process {:.0f} MB, peak {:.0f} MB".format(*server.memory()))


async def plain_size(port: int) -> int:
    """Return the size of the home page before packing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: board\r\nConnection: close\r\n\r\n")
    content = await reader.read()
    writer.close()
    return len(content.partition(b"\r\n\r\n")[2])


async def publications(server: Server, ids: list[str], token: str, given: argparse.Namespace) -> None:
    """Hide and publish rows; tell how long the call takes, and until the home page shows it."""
    client, calls, homes = Client(server.port), [], []
    for n in range(given.publications):
        for visibility in ("private", "public"):
            answer = await client.ask(f"/api/submissions/{ids[n]}", "PATCH", token, {"visibility": visibility})
            home = await client.ask("/")
            assert (answer.status, home.status) == (200, 200), (answer, home.status)
            if visibility == "public":
                calls.append(answer.seconds)
                homes.append(answer.seconds + home.seconds)
    print(f"  publication: {percentiles(calls)}; until the home page shows it: {percentiles(homes)}")


def beside(
    server: Server,
    ids: list[str],
    token: str,
    given: argparse.Namespace,
    kind: str,
    alone: dict[str, list[float]],
    seed: int,
) -> None:
    """Visit beside a flood and print how much slower that is."""
    context = multiprocessing.get_context("fork")
    stop, answers = context.Event(), context.Queue()
    process = context.Process(target=flood, args=(answers, stop, server.port, kind, ids, token, given.connections))
    process.start()
    time.sleep(given.warm)
    before, began = server.seconds(), time.perf_counter()
    times = asyncio.run(visit(server.port, ids, given.seconds, given.rate, seed))
    used = (server.seconds() - before) / (time.perf_counter() - began)
    stop.set()
    seen = answers.get()
    process.join()
    for page, values in times.items():
        if values:
            ratios = np.percentile(values, [50, 95]) / np.percentile(alone[page], [50, 95])
            print(
                f"  beside a flood of {kind}, {page}: {percentiles(values)} ({ratios[0]:.1f} and {ratios[1]:.1f} times)"
            )
    print(f"    the flood got {seen}; the web process used {used:.2f} cores")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--url", help="URL of an empty database to use instead of a SQLite file")
    parser.add_argument("--draws", type=int, default=60, help="pages that nobody has read")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between the requests of one reader")
    parser.add_argument("--publications", type=int, default=5)
    parser.add_argument("--rate", type=float, default=5.0, help="pages per second of the visitor")
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of each visit")
    parser.add_argument("--warm", type=float, default=5.0, help="seconds of a flood before the visit")
    parser.add_argument("--connections", type=int, default=8, help="connections of a flood")
    parser.add_argument("--floods", nargs="*", default=["dates", "comparisons", "wins", "toggling"])
    parser.add_argument("--port", type=int, default=8766)
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: given.cores]))
    print(f"{given.cores} cores, load average {os.getloadavg()[0]:.1f}, {given.url or 'SQLite'}")
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as temporary:
            run(given, rows, Path(temporary))


def run(given: argparse.Namespace, rows: int, folder: Path) -> None:
    """Fill, serve and measure one size."""
    url = given.url or f"sqlite:///{folder}/board.sqlite3"
    database = Database(url)
    database.migrate()
    began = time.perf_counter()
    token = fill(database, rows, folder)
    with database.read() as session:
        chosen = select(Submission.id).where(Submission.team_id == 1).order_by(Submission.published)
        ids = list(session.scalars(chosen)) + list(
            session.scalars(select(Submission.id).where(Submission.team_id != 1).order_by(Submission.published))
        )
    database.engine.dispose()
    print(f"{rows} rows, filled in {time.perf_counter() - began:.0f} s")
    server = Server(url, folder / "log", given.port)
    try:
        server.wait()
        print(f"  memory before the first page {server.memory()[0]:.0f} MB")
        measure(server, ids, token, given)
    finally:
        server.end()


if __name__ == "__main__":
    main()
