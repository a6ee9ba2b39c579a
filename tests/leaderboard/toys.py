"""What the tests of the leaderboard are made of: a small split, files for it, a PostgreSQL, a pair of hands."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import subprocess
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy import create_engine, text

from earthreason.masks.rle import decode_rle, encode_mask
from earthreason.metrics.references import Reference, References

SIDE = 24
SAMPLES = 40
METADATA = {"model": "Model A", "training": "zero-shot"}


def make_references(name: str = "toy") -> References:
    """Squares of growing size; every tenth image has nothing to find."""
    references = []
    for n in range(SAMPLES):
        mask = np.zeros((SIDE, SIDE), bool)
        if n % 10:
            mask[2 : 6 + n % 12, 3 : 8 + n % 9] = True
        references.append(Reference(f"{name}_{n:03d}", encode_mask(mask), category=f"class {n % 3}"))
    return References(references, name)


LARGE_SIDE = 400
LARGE_INSIDE, LARGE_OUTSIDE = (200, 200), (390, 390)
"""A pixel that every large square has, and one that none has."""


def make_large_squares(samples: int = 60) -> tuple[References, bytes]:
    """Squares so large that one pixel moves no rounded score, and predictions that are off by a stripe and two pixels.

    The predictions lack `LARGE_INSIDE` and have no `LARGE_OUTSIDE`: turning the first is right, the second wrong.
    """
    references, predictions = [], []
    for n in range(samples):
        mask = np.zeros((LARGE_SIDE, LARGE_SIDE), bool)
        mask[20:350, 20 + n % 20 : 360] = True
        references.append(Reference(f"large_{n:03d}", encode_mask(mask)))
        mask[15:70, 100:200] ^= True
        mask[LARGE_INSIDE] = False
        predictions.append({"sample_id": f"large_{n:03d}", "segmentation": encode_mask(mask)})
    return References(references, "large"), json.dumps({"predictions": predictions}).encode()


def make_scenes(references: References) -> bytes:
    buffer, texts = io.BytesIO(), {}
    jpeg = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (90, 120, 80)).save(jpeg, "JPEG")
    with zipfile.ZipFile(buffer, "w") as archive:
        for n, sample_id in enumerate(references):
            archive.writestr(f"{n}.jpg", jpeg.getvalue())
            texts[sample_id] = {"picture": f"{n}.jpg", "questions": [f"Where would {sample_id} be?"]}
        archive.writestr("scenes.json", json.dumps(texts))
    return buffer.getvalue()


def make_predictions(references: References, seed: int = 0, noise: float = 0.1) -> bytes:
    """A predictions file: the truth with some pixels turned."""
    rng = np.random.default_rng(seed)
    predictions = []
    for reference in references.values():
        mask = decode_rle(reference.segmentation) ^ (rng.random((SIDE, SIDE)) < noise)
        predictions.append({"sample_id": reference.sample_id, "segmentation": encode_mask(mask)})
    return json.dumps({"info": {"seed": seed}, "predictions": predictions}).encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A PostgreSQL server of our own, in a temporary folder, that can be killed and started again."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder, self.port = programs, folder, free_port()
        folder.chmod(0o777)
        self._run("initdb", "-D", str(folder / "data"), "-U", "board", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            command = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/tmp")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"
        options += " -c fsync=off"  # our processes are killed, not the machine
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-w", "-l", str(self.folder / "log"), "start"
        )

    def kill(self) -> None:
        """kill -9 of the server and all its processes."""
        leader = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["pgrep", "-P", str(leader)], capture_output=True, text=True, check=False)
        for process in [leader, *map(int, children.stdout.split())]:
            try:
                os.kill(process, 9)
            except ProcessLookupError:
                continue
        # Where nobody collects the dead leader its number stays taken, and the server would not start beside it.
        (self.folder / "data" / "postmaster.pid").unlink()

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://board@127.0.0.1:{self.port}/{name}"

    def create(self, name: str, template: str = "template1") -> str:
        self._command(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name: str) -> None:
        self._command(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _command(self, command: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(command))
        engine.dispose()


class Hand:
    """Submits, scores and publishes, as a team would."""

    def __init__(self, client, worker, sandbox, tokens):
        self.client, self.worker, self.sandbox, self.tokens = client, worker, sandbox, tokens
        self.references = make_references()

    def headers(self, team="alpha"):
        return {"Authorization": f"Bearer {self.tokens[team]}"}

    def announce(self, content, team="alpha", split="toy/test", metadata=METADATA, card=None):
        body = {
            "split": split,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "metadata": metadata,
            "card": card,
        }
        return self.client.post("/api/submissions", json=body, headers=self.headers(team))

    def submit(self, content, team="alpha", **given):
        announced = self.announce(content, team, **given)
        assert announced.status_code in (200, 201), announced.text
        path = f"/api/submissions/{announced.json()['id']}/predictions"
        uploaded = self.client.put(path, content=content, headers=self.headers(team))
        assert uploaded.status_code == 200, uploaded.text
        return uploaded.json()["id"]

    def score(self):
        done = 0
        while self.worker.run_once(self.sandbox):
            done += 1
        return done

    def get(self, submission_id, team="alpha"):
        return self.client.get(f"/api/submissions/{submission_id}", headers=self.headers(team) if team else {})

    def set(self, submission_id, visibility, team="alpha"):
        return self.client.patch(
            f"/api/submissions/{submission_id}", json={"visibility": visibility}, headers=self.headers(team)
        )

    def published(self, content, team="alpha", **given):
        submission_id = self.submit(content, team, **given)
        self.score()
        assert self.set(submission_id, "public", team).status_code == 200
        return submission_id


def sign_in(hand, team="alpha"):
    answer = hand.client.post("/sign-in", data={"token": hand.tokens[team]}, follow_redirects=False)
    assert answer.status_code == 303
    hand.client.cookies.clear()
    return answer.headers["set-cookie"].split(";")[0]
