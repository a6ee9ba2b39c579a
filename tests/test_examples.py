"""The examples run: the notebook from top to bottom, the scripts for a few steps."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.questions.fake_server import Server

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def run(script, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "none"}
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_notebook_runs_from_top_to_bottom(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2


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
