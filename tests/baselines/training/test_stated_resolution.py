"""A run tells at which ground resolutions its model learns, and its checkpoints keep them."""

import json
import logging

import numpy as np
import pytest

from baselines.training.config import TrainConfig
from baselines.training.loop import train
from earthreason import load_dataset
from tests.conftest import write_sample


def config_of(**data):
    optim = {"global_batch": 4, "micro_batch": 2, "steps": 1, "ema": 0.5}
    model = {"size": "mini", "image_size": 128, "lora": {"rank": 2}}
    data = {"config": "sample", "train": "train[:12]", "validation": "train[:2]", **data}
    return TrainConfig.model_validate({"save_every": 0, "workers": 0, "model": model, "data": data, "optim": optim})


def test_a_run_states_the_ground_resolutions_of_its_data(tmp_path, monkeypatch, caplog):
    rows = load_dataset("earthreason", "sample", split="train[:12]")
    seen = np.array(rows["ground_resolution"]) * np.maximum(rows["height"], rows["width"]) / 128
    monkeypatch.setattr(logging.getLogger("earthreason"), "propagate", True)
    with caplog.at_level(logging.INFO, "earthreason.training"):
        train(config_of(), tmp_path / "run")
    stated = json.loads((tmp_path / "run" / "final" / "config.json").read_text())["ground_resolution"]
    assert stated == pytest.approx(list(np.percentile(seen, [5, 95])), rel=5e-3)
    assert f"on the canvas: {stated[0]:g} to {stated[1]:g} m per pixel" in caplog.text


def test_a_run_on_data_that_state_none_says_so(tmp_path, monkeypatch, caplog):
    for number in range(4):
        write_sample(tmp_path / "set" / "train", f"s{number}")
    monkeypatch.setattr(logging.getLogger("earthreason"), "propagate", True)
    with caplog.at_level(logging.INFO, "earthreason.training"):
        data = {"train": "train", "validation": "train", "data_dir": str(tmp_path / "set")}
        train(config_of(config="default", **data), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "final" / "config.json").read_text())["ground_resolution"] is None
    assert "on the canvas: unknown" in caplog.text
