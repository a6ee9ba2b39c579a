"""The tasks run in the real lmms-eval, with its own models, and print the judge's figures.

EARTHREASON_LMMS_EVAL=/path/to/environment/bin/python python -m pytest tests/integrations
"""

import json
import os
import subprocess

import pytest

from earthreason import evaluate, load_dataset
from tests.conftest import ROOT
from tests.integrations.conftest import foreign_python
from tests.integrations.written_answers import middle_box, records_of

FOLDER = ROOT / "integrations" / "lmms_eval"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a task, and return its figures by name."""
    python = foreign_python("EARTHREASON_LMMS_EVAL")
    home = tmp_path_factory.mktemp("home")

    def run(model, model_args, limit, task="earthreason_sample", **settings):
        folder = tmp_path_factory.mktemp("run")
        command = [python, "-m", "lmms_eval", "eval", "--model", model, "--model_args", model_args, "--tasks", task]
        command += ["--include_path", str(FOLDER), "--batch_size", "1", "--limit", str(limit), "--output_path", "out"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), **settings}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (results,) = (folder / "out").rglob("*results.json")
        figures = json.loads(results.read_text())["results"][task]
        return {key.removesuffix(",none"): value for key, value in figures.items() if key.endswith(",none")}

    return run


def figures_of(result):
    names = {"box_acc": "Acc@0.5", "box_giou": "gIoU", "box_ciou": "cIoU", "n_acc": "N-acc", "t_acc": "T-acc"}
    return {name: result[metric] for name, metric in names.items()}


def test_its_openai_model_gets_pictures_and_prompts_and_its_figures_are_those_of_the_judge(run, server, rows, written):
    _, masks, hits = written
    found = run("openai", f"model=some-vlm,base_url={server.address},api_key=none", len(rows))
    expected = figures_of(evaluate(records_of(masks), rows))
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert found["unreadable"] == sum(isinstance(mask, str) for mask in masks.values()) / len(rows)
    of_targets = [share for share in hits.values() if share is not None]
    assert found["point_hit"] == pytest.approx(sum(of_targets) / len(of_targets), abs=1e-12)
    assert "mask_giou" not in found
    assert len(server.bodies) == len(rows)
    assert "image_url" in json.dumps(server.bodies[0])


def test_its_dummy_model_under_a_protocol_that_asks_every_question_and_with_sam(run, tmp_path):
    pytest.importorskip("transformers")
    from baselines.vlm_sam.masks import load_mask_maker
    from earthreason.grounding.answers import Target
    from tests.integrations.tiny_sam import save_sam

    save_sam(tmp_path)
    split = load_dataset("earthreason", "sample", split="test[:3]")
    asked = [(row, index) for row in split for index in range(len(row["questions"]))]
    assert len(asked) > 3
    found = run(
        "dummy",
        'response={"bbox": [0.25, 0.25, 0.75, 0.75]}',
        len(asked),
        EARTHREASON_PROTOCOL="rrsis-d",
        EARTHREASON_COORDINATES="fraction",
        EARTHREASON_SAM=str(tmp_path),
    )
    boxes = {(row["sample_id"], index): middle_box(row["height"], row["width"]) for row, index in asked}
    result = evaluate(boxes, split, "rrsis-d")
    expected = {name: value for name, value in figures_of(result).items() if value is not None}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    maker, middle = load_mask_maker(str(tmp_path), "cpu", "float32"), Target(box=[0.25, 0.25, 0.75, 0.75], points=[])
    drawn = {(row["sample_id"], index): maker.draw(row["image"], [middle]) for row, index in asked}
    result = evaluate(drawn, split, "rrsis-d")
    # Its torch may be another than ours, and random weights leave many pixels near the threshold.
    assert (found["mask_giou"], found["mask_ciou"]) == pytest.approx((result["gIoU"], result["cIoU"]), abs=0.01)
