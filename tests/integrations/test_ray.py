"""examples/ray_predict.py with the real Ray, in an environment of its own that has the dependencies of this package.

EARTHREASON_RAY names its python:

    python -m venv /tmp/env-ray && /tmp/env-ray/bin/pip install ray earthreason
    EARTHREASON_RAY=/tmp/env-ray/bin/python pytest tests/integrations/test_ray.py
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from earthreason import evaluate, load_dataset

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("EARTHREASON_RAY")
pytestmark = pytest.mark.skipif(PYTHON is None, reason="EARTHREASON_RAY does not name a python with Ray")


def test_two_workers_give_the_scores_and_intervals_of_one_process(tmp_path):
    command = [PYTHON, str(ROOT / "examples" / "ray_predict.py"), "--workers", "2", "--parts", "5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    result = evaluate(tmp_path / "preds.json", load_dataset("earthreason", "sample", split="test"))
    assert told["questions"] == result.questions == 100
    assert told["scores"] == result.scores
    assert told["intervals"] == {name: [each.low, each.high] for name, each in result.intervals.items()}
