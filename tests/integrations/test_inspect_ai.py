"""The task runs in the real inspect-ai, against a server, and its log has the judge's figures.

EARTHREASON_INSPECT_AI=/path/to/environment/bin/python python -m pytest tests/integrations
"""

import json
import os
import subprocess

import pytest

from earthreason import evaluate
from tests.conftest import ROOT
from tests.integrations.conftest import foreign_python
from tests.integrations.written_answers import records_of

TASK = ROOT / "integrations" / "inspect_ai" / "earthreason_task.py"


@pytest.fixture(scope="module")
def run(tmp_path_factory, server):
    """Run the task, and return its log."""
    python = foreign_python("EARTHREASON_INSPECT_AI")
    home = tmp_path_factory.mktemp("home")

    def run(*arguments):
        folder = tmp_path_factory.mktemp("run")
        command = [
            python,
            "-m",
            "inspect_ai",
            "eval",
            f"{TASK}@earthreason",
            "--model",
            "openai-api/fake/some-vlm",
            *arguments,
        ]
        command += ["--log-dir", "logs", "--log-format", "json", "--display", "none"]
        servers = {"FAKE_BASE_URL": server.address, "FAKE_API_KEY": "none"}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), **servers}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (log,) = (folder / "logs").glob("*.json")
        return json.loads(log.read_text())

    return run


def test_its_figures_are_those_of_the_judge(run, server, rows, written):
    _, masks, hits = written
    log = run("-T", "config=sample", "-T", f"split=test[:{len(rows)}]")
    assert log["status"] == "success"
    found = {name: metric["value"] for name, metric in log["results"]["scores"][0]["metrics"].items()}
    result = evaluate(records_of(masks), rows)
    names = {"box_acc": "Acc@0.5", "box_giou": "gIoU", "box_ciou": "cIoU", "n_acc": "N-acc", "t_acc": "T-acc"}
    of_targets = [share for share in hits.values() if share is not None]
    expected = {
        **{name: result[metric] for name, metric in names.items()},
        "point_hit": sum(of_targets) / len(of_targets),
        "unreadable": sum(isinstance(mask, str) for mask in masks.values()) / len(rows),
    }
    assert found == pytest.approx(expected, abs=1e-12)
    ious = result.counts.intersection / result.counts.union.clip(1)
    values = {sample["id"]: sample["scores"]["regions"]["value"] for sample in log["samples"]}
    assert len(values) == len(rows)
    some = next(at for at, iou in enumerate(ious) if iou > 0)
    assert values[f"{result.counts.sample_id[some]}:0"] == pytest.approx(ious[some], abs=1e-5)
    assert len(server.bodies) == len(rows)
