"""What the commands import: a number should not wait for libraries that its command does not use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from earthreason.metrics.truth import load_references
from earthreason.predictions import write_predictions
from earthreason.types import Prediction

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "datasets",
    "pyarrow",
    "pandas",
    "scipy",
    "skimage",
    "matplotlib",
    "torch",
    "transformers",
    "openai",
    "httpx",
    "jinja2",
    "imagehash",
    "rapidfuzz",
    "tqdm",
    "huggingface_hub",
    "filelock",
    "earthreason.synthetic",
)
CODE = """
import json, sys
from earthreason.cli import main
sys.argv = json.loads(sys.argv[1])
try:
    (main.run_evaluate if sys.argv[0] == "earthreason-eval" else main.run)()
except SystemExit as end:
    assert not end.code, end.code
print("\\n" + json.dumps(sorted(sys.modules)))
"""


def modules_after(*arguments: str) -> tuple[str, set[str]]:
    """Run a command in a process of its own; return its output and the modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    output, modules = done.stdout.rstrip().rsplit("\n", 1)
    return output, set(json.loads(modules))


@pytest.fixture(scope="module")
def preds(tmp_path_factory):
    """Perfect predictions for the sample; making them also leaves its truth file."""
    path = tmp_path_factory.mktemp("startup") / "preds.json"
    references = load_references("sample", "test").values()
    predictions = [Prediction(reference.sample_id, reference.segmentation) for reference in references]
    write_predictions(path, predictions, {"config": "sample", "split": "test"})
    return str(path)


def imports_that_numba_needs(modules: set[str]) -> set[str]:
    return {"scipy"} if "numba" in modules else set()


def test_eval_on_the_sample_imports_no_large_library(preds):
    output, modules = modules_after("earthreason-eval", preds, "--config", "sample")
    assert "100.00" in output
    assert modules & set(HEAVY) - imports_that_numba_needs(modules) == set()


def test_eval_to_json_with_breakdowns_imports_no_large_library(preds):
    output, modules = modules_after("earthreason-eval", preds, "--json", "-")
    assert json.loads(output)["results"][0]["breakdowns"]["target"][0]["group"] == "empty"
    assert modules & set(HEAVY) - imports_that_numba_needs(modules) == set()


def test_compare_imports_no_large_library(preds):
    output, modules = modules_after("earthreason", "compare", preds, preds, "--resamples", "100")
    assert "0 wins, 100 ties, 0 losses" in output
    assert modules & set(HEAVY) - imports_that_numba_needs(modules) == set()


def test_protocols_are_explained_without_scoring_anything():
    output, modules = modules_after("earthreason", "protocols")
    assert "segearth-r1" in output
    assert modules & {*HEAVY, "numba", "pycocotools", "PIL"} == set()


@pytest.mark.parametrize("name", ["", "demo", "eval", "compare", "verify", "synth", "submit", "board", "questions"])
def test_help_imports_no_large_library(name):
    output, modules = modules_after("earthreason", *filter(None, [name]), "--help")
    assert "Usage" in output
    assert modules & {*HEAVY, "numba", "numpy", "pycocotools", "PIL"} == set()
