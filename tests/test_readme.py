"""The README's blocks that need a server or a folder: the board takes a submission, the annotation project is made."""

import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.leaderboard.toys import free_port

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
NEEDS_MORE = ("convert", "train", "predict", "toy.json", "questions", "start")
"""Weights, minutes of training, a model server, or Label Studio, which has tests of its own."""


def shell_lines():
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def line_with(words):
    (line,) = (line for line in shell_lines() if words in line)
    return shlex.split(line)


@pytest.fixture
def run(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    modules = {"python": [], "earthreason": ["-m", "earthreason"], "earthreason-baselines": ["-m", "baselines"]}
    modules |= {"earthreason-leaderboard": ["-m", "leaderboard"], "earthreason-annotation": ["-m", "annotation_tools"]}

    def start(words, **changes):
        command = [sys.executable, *modules[words[0]], *words[1:]]
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**environment, **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(words, **changes):
        process = start(words, **changes)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        return output

    finish.start = start
    return finish


def test_every_shell_line_is_run_here_or_known_to_need_more():
    run_here = ("submit", "split add", "token create", "leaderboard serve", "masks import", "review sample")
    run_here += ("make_scene.py", "baselines segment", "baselines serve")
    for line in shell_lines():
        known = any(words in line for words in run_here) or any(words in shlex.split(line) for words in NEEDS_MORE)
        assert known or line.startswith("export "), line


@contextmanager
def answering(server, address):
    """Wait until a server answers, and hand out the page; end the server at the end."""
    try:
        deadline = time.time() + 120
        page = None
        while page is None and time.time() < deadline and server.poll() is None:
            try:
                page = urllib.request.urlopen(address).read().decode()
            except OSError:
                time.sleep(0.2)
        if page is None:
            server.terminate()
            pytest.fail(f"nothing answers at {address}: {server.communicate()[0]}")
        yield page
    finally:
        server.terminate()
        server.communicate(timeout=60)


def test_the_boards_lines_give_a_board_that_takes_the_readmes_submission(run):
    run(shlex.split("earthreason-baselines predict --model saliency --config sample --split test --out preds.json"))
    run(line_with("split add"))
    token = re.search(r"er_\S+", run(line_with("token create")))[0]
    port = str(free_port())
    address = f"http://127.0.0.1:{port}"
    with answering(run.start([*line_with("leaderboard serve"), "--port", port]), f"{address}/health"):
        submit = [address if word.startswith("http://") else word for word in line_with("earthreason submit")]
        output = run(submit, EARTHREASON_TOKEN=token)
        assert "My model on sample/test" in output
        assert f"{address}/models/" in output


def test_the_annotation_lines_make_a_project(run, tmp_path):
    run(line_with("masks import"))
    assert len(list((tmp_path / "work" / "images").iterdir())) == 320


def test_the_review_line_serves_a_page(run):
    port = str(free_port())
    with answering(run.start([*line_with("review sample"), "--port", port]), f"http://127.0.0.1:{port}/") as page:
        assert "<title>" in page


def test_the_scenes_lines_make_a_scene_and_a_layer(run, tmp_path):
    pyogrio = pytest.importorskip("pyogrio", reason="the extra geo is not installed")
    words = line_with("make_scene.py")
    run([words[0], str(ROOT / words[1]), *words[2:]])
    run(line_with("baselines segment"))
    assert pyogrio.read_info(tmp_path / "water.gpkg", layer="answers")["crs"] == "EPSG:32632"


def test_the_page_of_the_scenes_lines_answers(run, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    server = run.start([*line_with("baselines serve"), "--port", "0"])
    try:
        found = re.search(r"http://[\w.:]+\d", next(line for line in server.stdout if "http://" in line))
        assert b'"status":"ok"' in urllib.request.urlopen(f"{found[0]}/health").read()
    finally:
        server.terminate()
        server.communicate(timeout=60)
