"""Measure the leaderboard under load: many simultaneous submitters while others read the table.

    python benchmarks/leaderboard.py --submitters 50 --rate 200

Starts `earthreason-leaderboard serve` on a new SQLite file (or the database of --url), publishes some rows, then sends
files of test size (1,928 masks of 1024 x 1024) simultaneously while readers request pages at a fixed rate. Latency is
measured from when a request was due, so it includes waiting behind slow requests. Server and load generator share the
cores of this machine; --cores limits them to some of these.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Process, Queue
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from scipy import ndimage

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # this folder has a module of the package's name

from earthreason.board_client import BoardClient  # noqa: E402
from earthreason.masks.rle import encode_mask  # noqa: E402
from earthreason.metrics.references import Reference, References  # noqa: E402
from leaderboard.database import Database  # noqa: E402
from leaderboard.splits import SplitContent, put_split  # noqa: E402
from leaderboard.tokens import create_token  # noqa: E402

SIDE, IMAGES = 1024, 1928
METADATA = {"model": "Load", "training": "zero-shot"}
_IDLE = 5.0


def make_files(smoothness: float, seed: int = 0) -> tuple[References, list[dict]]:
    """Write truth and predictions of the size of the test split, from a few shifted fields."""
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), smoothness) for _ in range(12)]
    fields = [field / field.std() for field in fields]
    references, predictions = [], []
    for n in range(IMAGES):
        shift = tuple(int(s) for s in rng.integers(SIDE, size=2))
        field = np.roll(fields[n % 12], shift, (0, 1))
        truth = field > 1.4 if n % 27 else np.zeros((SIDE, SIDE), bool)
        predicted = field + 0.3 * fields[(n + 5) % 12] > 1.4
        name = f"image_{n:04d}"
        references.append(Reference(name, encode_mask(truth), category=f"class {n % 28}"))
        predictions.append({"sample_id": name, "segmentation": encode_mask(predicted)})
    return References(references, "load"), predictions


# --- readers ---------------------------------------------------------------------------------------------------------


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> int:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: board\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = next(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
    await reader.readexactly(length)
    return int(lines[0].split()[1])


async def _read_pages(address: str, paths: list[str], rate: float, seconds: float) -> list[tuple[str, float, int]]:
    parts = urlsplit(address)
    idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
    seen: list[tuple[str, float, int]] = []
    choose = random.Random(0)

    async def one(path: str, due: float) -> None:
        while idle and time.perf_counter() - idle[0][0] > _IDLE:  # the server is about to close it
            idle.pop(0)[2].close()
        pair = idle.pop()[1:] if idle else await asyncio.open_connection(parts.hostname, parts.port)
        try:
            status = await _ask(*pair, path)
        except (OSError, asyncio.IncompleteReadError):
            status = 0
        else:
            idle.append((time.perf_counter(), *pair))
        seen.append((path, time.perf_counter() - due, status))

    began = time.perf_counter()
    tasks = set()
    for n in range(int(rate * seconds)):
        due = began + n / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(choose.choice(paths), due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return seen


def read_pages(answers: Queue, address: str, paths: list[str], rate: float, seconds: float) -> None:
    """Request pages at a fixed rate, in a separate process, and report the time of each."""
    answers.put(asyncio.run(_read_pages(address, paths, rate, seconds)))


# --- submitters ------------------------------------------------------------------------------------------------------


def submit(address: str, token: str, predictions: str, number: int, folder: Path) -> tuple[float, float]:
    """Upload a file that differs only in its info; return seconds of the upload, and from then to the score."""
    file = folder / f"{number}.json"
    file.write_text(f'{{"info": {{"n": {number}}}, "predictions": {predictions}}}')
    client = BoardClient(address, token, pause=0.5)
    began = time.perf_counter()
    announced = client.announce("load/test", file, METADATA, None)
    client.upload(announced["id"], file, lambda sent: None)
    uploaded = time.perf_counter()
    submission = client.follow(announced["id"], 900)
    assert submission["state"] == "scored", submission["error"]
    file.unlink()
    return uploaded - began, time.perf_counter() - uploaded


def percentiles(values: list[float]) -> str:
    """Format median, 95th and 99th percentile and maximum in milliseconds."""
    at = np.percentile(values, [50, 95, 99, 100]) * 1000
    return "p50 {:.1f}  p95 {:.1f}  p99 {:.1f}  max {:.0f} ms".format(*at)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submitters", type=int, default=50)
    parser.add_argument("--rate", type=float, default=200, help="pages per second")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rows", type=int, default=20, help="public rows in the table")
    parser.add_argument("--smoothness", type=float, default=30, help="smoothness of the masks; larger means fewer runs")
    parser.add_argument("--url", help="URL of an empty database to use instead of a SQLite file")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: given.cores]))
    references, predictions = make_files(given.smoothness)
    content = json.dumps(predictions)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        url = given.url or f"sqlite:///{folder}/board.sqlite3"
        database = Database(url)
        database.migrate()
        with database.write() as session:
            put_split(session, "load", "test", SplitContent(references, None), hidden=False)
            tokens = [create_token(session, f"Team {n}")[1] for n in range(given.submitters)]
        environment = {
            **os.environ,
            "DATABASE_URL": url,
            "EARTHREASON_BOARD_OPEN_DAILY_LIMIT": "10000",
            "EARTHREASON_BOARD_TIME_LIMIT": "80",
            "PYTHONPATH": sys.path[0],
        }
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "leaderboard", "serve", "--port", "8765", "--workers", str(given.workers)],
                env=environment,
                stderr=log,
            )
        try:
            address = "http://127.0.0.1:8765"
            client = BoardClient(address, tokens[0], pause=0.5)
            client.splits()
            measure(given, address, tokens, content, folder, client)
        finally:
            server.terminate()
            server.wait()


def measure(
    given: argparse.Namespace, address: str, tokens: list[str], content: str, folder: Path, client: BoardClient
) -> None:
    """Print the measurements."""
    print(f"file: {len(content) / 2**20:.1f} MiB, {IMAGES} masks, {given.cores} cores, load {os.getloadavg()[0]:.1f}")
    alone = []
    for n in range(max(3, given.rows)):
        alone.append(submit(address, tokens[0], content, 1000 + n, folder)[1])
        if len(alone) > 3 and n >= given.rows:
            break
    print(f"one file on an idle server: score after the upload {np.median(alone):.2f} s (median of {len(alone)})")
    ids = [row["id"] for row in client._ask("GET", "/api/submissions")]
    for submission_id in ids:
        client.publish(submission_id)
    paths = ["/"] * 6 + [
        "/?split=load%2Ftest&protocol=native",
        "/api/board?split=load%2Ftest",
        f"/models/{ids[0]}",
        f"/compare?ids={ids[0]}&ids={ids[1]}",
    ]
    before = web_seconds()
    tell("readers alone", address, paths, given.rate, 10)
    print(f"web process: {1000 * (web_seconds() - before) / (10 * given.rate):.2f} ms of processor time a page")
    answers: Queue = Queue()
    began = time.perf_counter()
    done = threading.Event()
    with ThreadPoolExecutor(given.submitters) as pool:
        sent = [pool.submit(submit, address, tokens[n], content, n, folder) for n in range(given.submitters)]
        while not done.is_set():
            reader = Process(target=read_pages, args=(answers, address, paths, given.rate, 20))
            reader.start()
            report("readers beside submitters", answers.get())
            reader.join()
            if all(one.done() for one in sent):
                done.set()
        times = [one.result() for one in sent]
    seconds, upload_seconds = time.perf_counter() - began, np.median([t[0] for t in times])
    print(f"{given.submitters} submitted at once: all scored after {seconds:.0f} s at most;", end=" ")
    print(f"uploads {upload_seconds:.1f} s (median)")


def web_seconds() -> float:
    """Return the CPU time of the web process so far."""
    program = "leaderboard web --host 127.0.0.1 --port 8765"
    processes = subprocess.run(["pgrep", "-f", program], capture_output=True, text=True, check=True).stdout.split()
    fields = Path(f"/proc/{processes[0]}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tell(name: str, address: str, paths: list[str], rate: float, seconds: float) -> None:
    """Read pages for some seconds and report."""
    answers: Queue = Queue()
    reader = Process(target=read_pages, args=(answers, address, paths, rate, seconds))
    reader.start()
    report(name, answers.get())
    reader.join()


def report(name: str, seen: list[tuple[str, float, int]]) -> None:
    """Print one line for all pages and one for the slowest kind."""
    wrong = [status for _, _, status in seen if status != 200]
    print(
        f"{name}: {len(seen)} pages, {percentiles([took for _, took, _ in seen])}, {len(wrong)} not answered with 200"
    )


if __name__ == "__main__":
    main()
