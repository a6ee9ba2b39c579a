"""The examples run: the notebook from top to bottom, the scripts for a few steps."""

import base64
import io
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from benchmarks.notebook import run_notebook, tidy
from tests.questions.fake_server import Server

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def run(script, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "none"}
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def notebooks():
    """The notebook as stored, and run again."""
    stored, fresh = (nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        run_notebook(fresh)
    tidy(fresh)
    return stored, fresh


def outputs_of(notebook, kind):
    """What each cell shows of a kind, by the number of the cell."""
    return {
        number: output.data[kind]
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", ())
        if kind in output.get("data", {})
    }


def test_the_stored_outputs_of_the_notebook_have_the_numbers_and_names_of_a_fresh_run(notebooks):
    # Not the spaces of a table, which depend on the version of pandas.
    stored, fresh = ({n: text.split() for n, text in outputs_of(each, "text/plain").items()} for each in notebooks)
    assert stored == fresh
    assert len(stored) == 7
    assert len(outputs_of(notebooks[0], "text/html")) == 2


def test_the_stored_pictures_of_the_notebook_are_those_of_a_fresh_run(notebooks):
    stored, fresh = (outputs_of(notebook, "image/png") for notebook in notebooks)
    assert len(stored) == 3
    assert stored.keys() == fresh.keys()
    for number, content in stored.items():
        first, second = (
            np.asarray(Image.open(io.BytesIO(base64.b64decode(each))).convert("RGB"), float)
            for each in (content, fresh[number])
        )
        assert first.shape == second.shape
        assert np.abs(first - second).mean() < 4  # of 255: fonts and the palette differ with versions


def test_the_stored_notebook_has_no_trace_of_the_machine_that_ran_it(notebooks):
    text = (EXAMPLES / "quickstart.ipynb").read_text()
    assert len(text) < 1_000_000
    assert "stderr" not in text
    assert not re.search(r"/(?:root|home|work|tmp)/", text)
    assert "iopub" not in text


def test_the_plain_loop_trains_and_scores():
    found = re.search(r"loss (\d\.\d+), gIoU (0\.\d+) on 100", run("pytorch_loop.py", "--steps", "30"))
    assert float(found[1]) < 0.5


def test_the_lightning_module_trains_and_scores():
    pytest.importorskip("lightning")
    assert re.search(r"validation gIoU 0\.\d+", run("lightning_module.py", "--steps", "4"))


def test_a_vision_model_over_http_is_scored():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/v1"
    assert "on 5 samples" in run("vision_api.py", "--model", "gpt-4o", "--base-url", address, "--n", "5")
    server.shutdown()
