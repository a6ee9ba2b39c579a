"""A model that finds red, and ways to hold it up; a real server at a free port."""

from __future__ import annotations

import io
import socket
import threading
import time
from contextlib import contextmanager

import httpx
import numpy as np
import uvicorn
from PIL import Image

from baselines.serve.app import make_app
from earthreason.geo.answers import ArrayRaster, SceneAnswer, SceneAnswers
from earthreason.geo.model import TileScores


class RedModel:
    """Marks pixels whose red exceeds their green; a question with "nothing" has no target."""

    name = "red"
    ground_resolution = None
    no_target_threshold = 0.5

    def __init__(self, tile_side=64):
        self.tile_side = tile_side
        self.calls = []  # (number of tiles, questions)
        self.gate = threading.Event()
        self.gate.set()
        self.error = None

    def score_tiles(self, tiles, questions):
        self.calls.append((len(tiles), tuple(questions)))
        for tile in tiles:
            assert self.gate.wait(30)
            if self.error is not None:
                raise self.error
            red, green = tile[..., 0].astype(np.float32), tile[..., 1].astype(np.float32)
            logits = np.stack([(red - green) / 32] * len(questions))
            absent = np.array(["nothing" in question for question in questions], np.float32)
            yield TileScores(logits, 0.1 + 0.8 * absent)


@contextmanager
def answer_whole(model, scene, path, questions, area, words=False):
    """Answer about the whole scene as one tile."""
    grid = scene.grid
    block = scene.read(grid.whole, grid.height, grid.width)
    scores = next(iter(model.score_tiles([block.pixels], questions)))
    answers = []
    for question, logits, score in zip(questions, scores.logits, scores.no_target_scores, strict=True):
        found = bool(score <= model.no_target_threshold)
        probability = 1 / (1 + np.exp(-(logits if found else -np.abs(logits))))
        raster = ArrayRaster(grid, (logits > 0) & found, probability.astype(np.float32))
        answers.append(SceneAnswer(question, float(score), found, raster, "words"))
    yield SceneAnswers(grid, tuple(answers), {"model": model.name}), block.pixels


class Running:
    """A server with a client."""

    def __init__(self, app, port):
        self.app, self.port = app, port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    def segment(self, picture=None, questions=("red?",), name="a.png", **fields):
        files = {} if picture is None else {"image": (name, picture)}
        return self.client.post("/segment", data={"questions": list(questions), **fields}, files=files)

    @property
    def state(self):
        return self.app.state.serve


@contextmanager
def running(model, settings, **options):
    app = make_app(model, settings, **options)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    made = Running(app, sock.getsockname()[1])
    try:
        yield made
    finally:
        made.client.close()
        server.should_exit = True
        thread.join(20)
        sock.close()


def square(height=40, width=60, box=(10, 5, 30, 25)):
    """Green with a red box (left, top, right, bottom)."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 1] = 200
    left, top, right, bottom = box
    pixels[top:bottom, left:right] = (200, 0, 0)
    return pixels


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels_of(answer):
    """Decode the picture of an HTTP answer with Pillow."""
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def wait_until(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
