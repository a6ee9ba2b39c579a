"""Long prediction runs: resumed after a crash, spread over processes, scored through the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from baselines.common.run import Journal, predict_split
from baselines.registry import PredictorOptions
from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.predictions import read_predictions
from earthreason.predictions.merge import merge_predictions
from earthreason.shards import Shard
from earthreason.types import Prediction
from tests.baselines.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[3]
MASK = encode_mask(np.eye(5))


def shell(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_what_was_written_is_not_asked_again_and_a_cut_line_is(tmp_path):
    out = tmp_path / "preds.json"
    journal = Journal(out, {"model": "m"})
    journal.write([Prediction("a", MASK), Prediction("b", None)])
    path = tmp_path / "preds.json.partial" / "rank-0.jsonl"
    path.write_text(path.read_text() + '{"sample_id": "c", "segm')  # the process was killed here
    again = Journal(out, {"model": "m"})
    assert again.done() == {("a", 0), ("b", 0)}
    again.write([Prediction("c", MASK)])
    assert again.finish(["c", "b", "a"]) == 3
    assert [p.sample_id for p in read_predictions(out).predictions] == ["c", "b", "a"]
    assert not path.parent.exists()


def test_an_unfinished_run_of_another_model_is_not_mixed_in(tmp_path):
    Journal(tmp_path / "preds.json", {"model": "m", "split": "test"})
    with pytest.raises(EarthReasonError, match="another model"):
        Journal(tmp_path / "preds.json", {"model": "n", "split": "test"})


def test_a_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    from earthreason.predictors import Centre

    asked = []

    class Counting(Centre):
        def predict(self, images, questions):
            asked.extend(questions)
            if len(asked) == 8:
                raise KeyboardInterrupt
            return super().predict(images, questions)

    monkeypatch.setattr("baselines.common.run.build_predictor", lambda *_: Counting())
    arguments = ("centre", PredictorOptions(batch_size=1), "sample", "test[:10]", None, "first", tmp_path / "p.json")
    with pytest.raises(KeyboardInterrupt):
        predict_split(*arguments)
    assert not (tmp_path / "p.json").exists()
    assert predict_split(*arguments) == 10
    assert len(asked) == 8 + 6  # the four in which it stopped are asked again


def test_a_tiny_checkpoint_predicts_the_sample_split_and_is_scored(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    out = tmp_path / "preds.json"
    asked = ["--checkpoint", str(folder), "--config", "sample", "--split", "test[:12]", "--out", str(out)]
    done = shell("-m", "baselines", "predict", "--model", "segearth_r1", *asked)
    assert done.returncode == 0, done.stderr
    scored = shell("-m", "earthreason", "eval", str(out), "--split", "test[:12]", "--json", "-")
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["results"][0]["questions"] == 12


def test_predictions_say_the_threshold_they_were_made_with(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "no_target_threshold": 0.9}))
    for given, expected in ((None, 0.9), (0.0, 0.0)):
        options, out = PredictorOptions(str(folder), no_target_threshold=given), tmp_path / f"{expected}.json"
        predict_split("segearth_r1", options, "sample", "test[:2]", None, "first", out)
        made = read_predictions(out)
        assert made.info["no_target_threshold"] == expected
    assert [prediction.segmentation for prediction in made.predictions] == [None, None]


def test_an_unfinished_run_with_another_threshold_is_not_mixed_in(tmp_path):
    folder, out = save_tiny(tmp_path / "tiny"), tmp_path / "p.json"
    info = {
        "model": "segearth_r1",
        "config": "sample",
        "split": "test[:2]",
        "questions": "first",
        "checkpoint": str(folder),
        "no_target_threshold": 0.5,
    }
    Journal(out, info).write([Prediction("a", None)])
    options = PredictorOptions(str(folder), no_target_threshold=0.25)
    with pytest.raises(EarthReasonError, match="no_target_threshold"):
        predict_split("segearth_r1", options, "sample", "test[:2]", None, "first", out)


def test_models_without_a_threshold_say_none(tmp_path):
    predict_split("centre", PredictorOptions(), "sample", "test[:2]", None, "first", tmp_path / "p.json")
    assert "no_target_threshold" not in read_predictions(tmp_path / "p.json").info


def test_two_processes_give_the_predictions_of_one(tmp_path):
    folder = save_tiny(tmp_path / "tiny")
    asked = ["--checkpoint", str(folder), "--config", "sample", "--split", "test[:5]", "--questions", "all", "--out"]
    common = ["-m", "baselines", "predict", "--model", "segearth_r1", *asked]
    assert shell(*common, str(tmp_path / "one.json")).returncode == 0
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = shell(*launch, *common, str(tmp_path / "two.json"))
    assert done.returncode == 0, done.stderr
    one, two = (read_predictions(tmp_path / f"{name}.json").predictions for name in ("one", "two"))
    assert [(p.sample_id, p.question_index) for p in one] == [(p.sample_id, p.question_index) for p in two]
    assert len(one) == 30


def test_a_model_that_cannot_be_built_leaves_nothing_behind(tmp_path):
    done = shell(
        "-m", "baselines", "predict", "--model", "segearth_r1", "--config", "sample", "--out", str(tmp_path / "p.json")
    )
    assert done.returncode == 2
    assert "needs --checkpoint" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_segment_and_convert_explain_themselves(tmp_path):
    nowhere = str(tmp_path / "nowhere")
    for words in (
        ["segment", "none.png", "where?", "--out", "o.png", "--checkpoint", nowhere],
        ["convert", "lisa", "a", "b"],
        ["convert", "segearth_r1", nowhere, nowhere],
    ):
        done = shell("-m", "baselines", *words)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error:")
        assert "Traceback" not in done.stderr


def test_parts_of_a_split_merge_to_the_bytes_of_the_whole(tmp_path):
    options = PredictorOptions()
    predict_split("saliency", options, "sample", "test[:7]", None, "all", tmp_path / "whole.json")
    parts = [tmp_path / f"part-{number}.json" for number in (1, 2, 3)]
    counts = [
        predict_split("saliency", options, "sample", "test[:7]", None, "all", path, shard=Shard(number, 3))
        for number, path in enumerate(parts, start=1)
    ]
    assert merge_predictions(parts, tmp_path / "merged.json") == sum(counts)
    assert (tmp_path / "merged.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_an_unfinished_part_does_not_continue_as_another_part(tmp_path):
    Journal(tmp_path / "part.json", {"model": "m", "shard": "1/2"})
    with pytest.raises(EarthReasonError, match="another shard"):
        Journal(tmp_path / "part.json", {"model": "m", "shard": "2/2"})
