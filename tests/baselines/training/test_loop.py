"""Training learns, stops and goes on exactly, and is the same on two processes."""

import copy
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from baselines.segearth_r1.predictor import SegEarthR1Predictor
from baselines.training import loop
from baselines.training.checkpoints import list_states, load_latest, save_state
from baselines.training.config import TrainConfig, load_config
from baselines.training.learner import build_learner
from baselines.training.loop import train
from baselines.training.pace import Pace
from baselines.training.records import Clock
from earthreason import load_dataset
from earthreason.errors import EarthReasonError
from tests.baselines.tiny import save_tiny

ROOT = Path(__file__).resolve().parents[3]


def config_of(**changes):
    optim = {"learning_rate": 2e-3, "warmup_share": 0.1, "global_batch": 4, "micro_batch": 2, "steps": 6, "clip": 1.0}
    values = {
        "log_every": 1,
        "save_every": 2,
        "model": {"size": "mini", "freeze_vision": False},
        "data": {"config": "sample", "train": "train[:12]", "validation": "train[:8]", "question": "random"},
        "optim": {**optim, **changes.pop("optim", {})},
    }
    return TrainConfig.model_validate({**values, **changes})


def write_config(path, config):
    import yaml

    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return path


def losses(folder, name="loss"):
    with (folder / "metrics.csv").open() as file:
        return {int(row["step"]): float(row["value"]) for row in csv.DictReader(file) if row["name"] == name}


def weights(folder):
    return load_file(folder / "final" / "model.safetensors")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "a"
    train(config_of(), folder)
    return folder


def shell(config, out, *launch):
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    if launch:  # several processes would each ask for a GPU of its own
        environment["CUDA_VISIBLE_DEVICES"] = ""
    run = ["-m", "baselines", "train", "segearth_r1", "--config", str(config), "--out", str(out)]
    return subprocess.Popen(
        [sys.executable, *launch, *run],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_after_a_checkpoint(config, out):
    """Start a run in `out` and kill it as soon as it has saved something."""
    process = shell(config, out)
    deadline = time.time() + 120
    while not list_states(out / "checkpoints") and time.time() < deadline and process.poll() is None:
        time.sleep(0.02)
    assert process.poll() is None, f"the run ended by itself: {process.communicate()[0]}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_run_leaves_everything_that_tells_what_it_was(uninterrupted):
    assert {path.name for path in uninterrupted.iterdir()} == {
        "checkpoints",
        "config.json",
        "final",
        "metrics.csv",
        "run.json",
    }
    assert list(losses(uninterrupted)) == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in list_states(uninterrupted / "checkpoints")] == ["step-0000004", "step-0000006"]
    predictor = SegEarthR1Predictor.from_pretrained(uninterrupted / "final")
    row = load_dataset("earthreason", "sample", split="test[:1]")[0]
    assert len(predictor.predict([row["image"]], row["questions"][:1])) == 1


def test_a_run_killed_in_the_middle_ends_with_the_same_weights(uninterrupted, tmp_path):
    config, out = write_config(tmp_path / "c.yaml", config_of()), tmp_path / "run"
    kill_after_a_checkpoint(config, out)
    assert not (out / "final").exists()
    again = shell(config, out)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert "resuming from" in output
    expected, found = weights(uninterrupted), weights(out)
    for name, tensor in expected.items():
        assert torch.allclose(tensor, found[name], atol=1e-6), name
    assert losses(out) == pytest.approx(losses(uninterrupted), rel=1e-4)


def test_two_processes_have_the_losses_of_one(uninterrupted, tmp_path):
    config, out = write_config(tmp_path / "c.yaml", config_of()), tmp_path / "run"
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    process = shell(config, out, *launch)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert losses(out) == pytest.approx(losses(uninterrupted), rel=2e-3)


def test_every_option_goes_on_exactly_from_a_checkpoint(tmp_path):
    """Average, adapters, rates by depth, turned images, more empty targets, worker processes: stop after 4, go on."""
    options = {
        "optim": {"ema": 0.5, "layer_decay": 0.8, "steps": 6},
        "workers": 1,
        "pictures_every": 6,
        "validate_every": 3,
        "data": {
            "config": "sample",
            "train": "train[:12]",
            "validation": "train[:4]",
            "question": "random",
            "augment": "dihedral",
            "empty_share": 0.5,
        },
        "model": {
            "size": "mini",
            "freeze_vision": False,
            "lora": {"rank": 2},
            "tokenizer": "learned",
            "architecture": {"no_target_head": True},
        },
        "trackers": ["tensorboard"],
    }
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    train(config_of(**options), whole)
    go_back_to_step_4(whole, parted)
    facts = parted / "checkpoints" / "step-0000004" / "facts.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "seconds": 10_000.0}))
    train(config_of(**options), parted)
    expected, found = weights(whole), weights(parted)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.allclose(tensor, found[name], atol=1e-6), name
    assert losses(parted) == pytest.approx(losses(whole), rel=1e-5)
    assert losses(parted, "validation_gIoU") == pytest.approx(losses(whole, "validation_gIoU"), abs=1e-6)
    with Image.open(parted / "pictures" / "step-0000006.png") as picture:
        assert picture.width > 500
    assert list(whole.rglob("events.out.tfevents.*"))
    assert set(losses(whole, "presence")) == {1, 2, 3, 4, 5, 6}
    card, resumed = (json.loads((out / "run.json").read_text()) for out in (whole, parted))
    assert resumed["steps"] == card["steps"] == 6
    assert card["seconds"] < 10_000 < resumed["seconds"]
    assert 0 < card["trained_parameters"] < card["parameters"]


def go_back_to_step_4(finished, out):
    shutil.copytree(finished / "checkpoints", out / "checkpoints")
    shutil.rmtree(out / "checkpoints" / "step-0000006")
    shutil.copy(finished / "metrics.csv", out / "metrics.csv")


@pytest.mark.parametrize(("kind", "workers"), [("gradients", 0), ("everything", 1)])
def test_a_sharded_run_goes_on_from_a_checkpoint_of_one_process_and_has_its_losses(
    kind, workers, uninterrupted, tmp_path
):
    config = write_config(tmp_path / "c.yaml", config_of(shard=kind, workers=workers, validate_every=6))
    out = tmp_path / "run"
    go_back_to_step_4(uninterrupted, out)
    process = shell(config, out, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert losses(out) == pytest.approx(losses(uninterrupted), rel=2e-3)
    expected, found = weights(uninterrupted), weights(out)
    assert expected.keys() == found.keys()
    assert all(torch.allclose(tensor, found[name], atol=5e-3) for name, tensor in expected.items())
    assert (out / "best" / "model.safetensors").is_file()


@pytest.mark.slow
def test_it_learns_eight_samples_by_heart(tmp_path):
    """With the shipped settings `toy`, which the README and the page on training name."""
    toy = ROOT / "baselines" / "configs" / "segearth_r1" / "toy.yaml"
    train(load_config(toy, ["log_every=1", "validate_every=150"]), tmp_path / "run")
    history = losses(tmp_path / "run")
    assert history[150] < 0.2 * history[1]
    assert losses(tmp_path / "run", "validation_gIoU")[150] > 0.9


@pytest.mark.parametrize("preset", ["earthreason", "rrsis-d", "refsegrs"])
def test_the_papers_presets_take_a_step(preset, tmp_path):
    """All settings but the size of the model and the data are the preset's own, bfloat16 and checkpointing included."""
    start = save_tiny(tmp_path / "start")
    changes = [
        f"model.checkpoint={start}",
        "data.config=sample",
        "data.data_dir=null",
        "data.train=train[:16]",
        "optim.steps=1",
        "validation_samples=2",
        "workers=0",
    ]
    config = load_config(ROOT / "baselines" / "configs" / "segearth_r1" / f"{preset}.yaml", changes)
    assert (config.precision, config.optim.global_batch) == ("bf16", 16)
    train(config, tmp_path / "run")
    expected = {"loss", "mask", "dice"} | ({"language"} if preset == "earthreason" else set())
    assert all(0 < losses(tmp_path / "run", name)[1] < 1000 for name in expected)
    assert ("language" in expected) == bool(losses(tmp_path / "run", "language"))
    assert (tmp_path / "run" / "final" / "model.safetensors").is_file()


def test_frozen_vision_stays_as_it_is(tmp_path):
    config = config_of(model={"size": "mini", "freeze_vision": True}, optim={"steps": 2})
    before = {name: tensor.clone() for name, tensor in build_learner(config, list).model.state_dict().items()}
    train(config, tmp_path / "run")
    after = weights(tmp_path / "run")
    changed = {name.split(".")[0] for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert "vision_tower" not in changed
    assert {"connector", "language_model", "lm_head", "description", "pixel_decoder", "mask_decoder"} <= changed


def test_adapters_come_with_the_embedding_of_the_added_token(tmp_path):
    config = config_of(model={"size": "mini", "lora": {"rank": 2}})
    accelerator = loop.start_accelerator(config, tmp_path)
    run = loop.TrainingRun(config, tmp_path, build_learner(config, list), accelerator, Pace(1, None, 0.0))
    embedding = run.model.get_input_embeddings()
    assert {tuple(p.shape) for p in embedding.parameters() if p.requires_grad} == {(1, 64)}


def test_the_whole_copy_of_a_sharded_model_leaves_the_device_after_looking(tmp_path, monkeypatch):
    config = config_of()
    accelerator = loop.start_accelerator(config, tmp_path)
    run = loop.TrainingRun(config, tmp_path, build_learner(config, list), accelerator, Pace(1, None, 0.0))
    run.plain, moves = copy.deepcopy(run.model), []
    monkeypatch.setattr(loop.TrainingRun, "sharded", True)
    monkeypatch.setattr(run.plain, "to", lambda device: moves.append(device) or run.plain)
    monkeypatch.setattr(run.plain, "cpu", lambda: moves.append("cpu"))
    monkeypatch.setattr(loop, "gather_weights", lambda model: model.state_dict())
    with pytest.raises(OSError, match="full"), run._kept() as kept:
        assert (kept, moves) == (run.plain, [run.accelerator.device])
        raise OSError("full")
    assert moves[1:] == ["cpu"]


def test_a_folder_of_another_run_is_refused(uninterrupted):
    with pytest.raises(EarthReasonError, match="another optim"):
        train(config_of(optim={"learning_rate": 1e-4}), uninterrupted)


def test_a_folder_of_another_run_without_a_checkpoint_is_refused_and_left_alone(uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(EarthReasonError, match="config.json is of a run with another seed; use another --out"):
        train(config_of(seed=99), tmp_path / "run")
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_a_run_by_the_clock_ends_in_time_at_a_rate_of_almost_nothing(tmp_path, monkeypatch):
    readings = count()
    monkeypatch.setattr(Clock, "here", property(lambda _: 0.5 * next(readings)))  # however busy the machine is
    optim = {"steps": None, "minutes": 0.1, "micro_batch": 4}
    config = config_of(optim=optim, save_every=0, validate_minutes=0.04, validation_samples=2, pictures_every=2)
    train(config, tmp_path / "run")
    card = json.loads((tmp_path / "run" / "run.json").read_text())
    rates = losses(tmp_path / "run", "rate")
    assert 6 <= card["seconds"] <= 9
    assert card["steps"] == len(rates) == max(rates)
    assert max(rates.values()) > 5 * rates[card["steps"]]
    assert len(losses(tmp_path / "run", "validation_gIoU")) >= 2  # pictures, drawn more often, do not put them off


def test_a_compiled_run_has_no_graph_breaks_and_the_losses_of_a_plain_one(uninterrupted, tmp_path, monkeypatch):
    # Captured as on a GPU and then run by plain kernels: making kernels for a CPU takes minutes and draws other points.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    train(config_of(model={"size": "mini", "freeze_vision": False, "compile": True}), tmp_path / "run")
    assert losses(tmp_path / "run") == pytest.approx(losses(uninterrupted), rel=2e-3)


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "find_spec", lambda name: None)
    with pytest.raises(EarthReasonError, match="wandb is not installed; pip install wandb"):
        train(config_of(trackers=["wandb"]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_few_samples_are_an_error(tmp_path):
    with pytest.raises(EarthReasonError, match="a batch of .* is not filled by"):
        train(config_of(optim={"global_batch": 16}), tmp_path / "run")


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    save_state(tmp_path, 1, {"a": torch.ones(2)}, {"identity": {}}, keep=1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        save_state(tmp_path, 2, {}, {"identity": {}}, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000001"]
    assert load_latest(tmp_path, {})[1]["step"] == 1
