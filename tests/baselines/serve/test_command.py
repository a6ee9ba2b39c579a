"""The command: its line at the start, its end by signals, and what it refuses before it loads a model."""

import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from tests.interrupts import hear_interrupts

pytest.importorskip("torch", reason="the extra baselines is not installed")

LINE = re.compile(r"^(http://127\.0\.0\.1:\d+): segearth_r1, tiny, on cpu$", re.MULTILINE)


def command(*options):
    return [sys.executable, "-m", "baselines", "serve", "--checkpoint", "tiny", *map(str, options)]


@contextmanager
def started(tmp_path, *options):
    """Run the command; yield the process and its address."""
    log = tmp_path / "serve.log"
    with log.open("w") as target:
        process = subprocess.Popen(
            command("--port", 0, *options), stderr=target, stdout=target, preexec_fn=hear_interrupts
        )
    try:
        until = time.monotonic() + 90
        while (found := LINE.search(log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield process, found[1], log
    finally:
        if process.poll() is None:
            process.terminate()  # so that it removes what it keeps on disk
        process.wait(60)


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_first_line_is_the_address_and_signals_end_the_server(tmp_path, sent, code):
    with started(tmp_path) as (process, address, log):
        assert httpx.get(f"{address}/health").json()["model"] == "segearth_r1"
        process.send_signal(sent)
        assert process.wait(40) == code
    assert "Traceback" not in log.read_text()


def test_the_tiny_checkpoint_answers_as_either_task(tmp_path):
    with started(tmp_path) as (_, address, log):
        sample = httpx.get(f"{address}/api/info", timeout=60).json()["samples"][0]
        scores = {}
        for task in ("reasoning", "referring", "reasoning"):
            form = {"sample": sample["name"], "questions": sample["questions"][:1], "task": task}
            told = httpx.post(f"{address}/segment", data=form, timeout=60)
            assert told.status_code == 200, told.text
            (answer,) = told.json()["answers"]
            assert answer["question"] == form["questions"][0]
            assert scores.setdefault(task, answer["no_target_score"]) == pytest.approx(answer["no_target_score"])
        assert scores["reasoning"] != scores["referring"]
    assert "Traceback" not in log.read_text()


def refused(*options):
    done = subprocess.run(command(*options), capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 2
    assert done.stdout == ""
    *before, line = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(each.startswith("device: ") for each in before)
    return done.stderr


def test_a_port_in_use_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused("--port", port)


def test_a_missing_folder_of_scenes_is_one_line(tmp_path):
    assert "no such folder" in refused("--port", 0, "--scenes", tmp_path / "none")


def test_a_model_without_probabilities_is_refused():
    assert "probabilities" in refused("--port", 0, "--model", "earthreason.predictors:Saliency")


def test_a_model_without_weights_takes_no_checkpoint():
    assert "saliency has no weights" in refused("--port", 0, "--model", "saliency")
