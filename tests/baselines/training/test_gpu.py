"""Training on a GPU. `python -m benchmarks.gpu run --rehearse` runs these on the CPU."""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import sdpa_kernel

from baselines.segearth_r1 import losses as mask_losses_of
from baselines.segearth_r1.tiny import make_tiny
from baselines.training import loop
from baselines.training.checkpoints import list_states
from baselines.training.config import TrainConfig
from baselines.training.loop import train
from baselines.training.sharding import shard_model
from benchmarks.ways import make_training_batch
from earthreason.synthetic import write_release
from tests.baselines.training.test_loop import ROOT, kill_after_a_checkpoint, losses, weights, write_config

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Sixteen scenes: the machines with a GPU are slow to draw the sample."""
    folder = tmp_path_factory.mktemp("scenes") / "set"
    write_release(folder, {"train": 16}, seed=3, size=(128, 128))
    return folder


@pytest.fixture
def config_of(scenes):
    """A short run on them."""

    def made(**changes):
        data = {"data_dir": str(scenes), "validation": "train[:4]", "question": "random", **changes.pop("data", {})}
        optim = {"learning_rate": 2e-3, "warmup_share": 0.1, "global_batch": 4, "micro_batch": 4, "clip": 1.0}
        values = {
            "log_every": 1,
            "save_every": 0,
            "workers": 0,
            "model": {"size": "mini", "freeze_vision": False},
            "data": data,
        }
        return TrainConfig.model_validate({**values, "optim": {**optim, **changes.pop("optim")}, **changes})

    return made


@cache
def points_on(device, masks, points):
    """The same points for every device; kept, as a CUDA graph cannot record a copy from the CPU."""
    return torch.rand(masks, points, 2, generator=torch.Generator().manual_seed(0)).to(device)


def draw_fixed_points(logits, config):
    """Stands in for `uncertain_points`."""
    return points_on(logits.device, len(logits), config.points)


@pytest.fixture
def fixed_points(monkeypatch):
    """Points of the mask losses that every device draws alike."""
    monkeypatch.setattr(mask_losses_of, "uncertain_points", draw_fixed_points)


def train_on_the_cpu(config, out):
    """The same run in a process that sees no GPU, as PyTorch cannot forget one."""
    script = """
import sys
from pathlib import Path
from baselines.segearth_r1 import losses
from baselines.training.config import TrainConfig
from baselines.training.loop import train
from tests.baselines.training.test_gpu import draw_fixed_points
losses.uncertain_points = draw_fixed_points
train(TrainConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
"""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path}
    command = [sys.executable, "-c", script, config.model_dump_json(), str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_twenty_steps_have_the_losses_of_the_cpu(gpu, config_of, fixed_points, tmp_path):
    steps = 20 if gpu == "cuda" else 3
    config = config_of(
        optim={"steps": steps, "learning_rate": 1e-4, "micro_batch": 4},
        save_every=0,
        model={"size": "mini", "freeze_vision": False, "architecture": {"drop_path_rate": 0.0}},
    )
    train(config, tmp_path / "device")
    assert json.loads((tmp_path / "device" / "run.json").read_text())["gpu_hours"] > 0 or gpu == "cpu"
    train_on_the_cpu(config, tmp_path / "cpu")
    found, expected = losses(tmp_path / "device"), losses(tmp_path / "cpu")
    assert len(found) == steps
    assert found == pytest.approx(expected, rel=5e-3)


def test_a_run_killed_on_the_device_goes_on_to_the_same_losses(gpu, config_of, tmp_path):
    steps = 30 if gpu == "cuda" else 4
    config = config_of(optim={"steps": steps, "micro_batch": 4}, save_every=2)
    train(config, tmp_path / "whole")
    path, out = write_config(tmp_path / "c.yaml", config), tmp_path / "run"
    kill_after_a_checkpoint(path, out)
    began = list_states(out / "checkpoints")
    train(config, out)
    assert began
    assert losses(out).keys() == losses(tmp_path / "whole").keys()
    # A GPU adds up gradients in no fixed order, so what follows agrees to rounding that grows with the steps.
    assert losses(out) == pytest.approx(losses(tmp_path / "whole"), rel=2e-2 if gpu == "cuda" else 1e-4)


def test_bfloat16_trains(gpu, config_of, tmp_path):
    config = config_of(optim={"steps": 6, "micro_batch": 4}, precision="bf16", workers=1, save_every=0)
    train(config, tmp_path / "run")
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path / "run").values())
    assert len(losses(tmp_path / "run")) == 6


def test_a_step_never_waits_for_the_device(gpu, config_of, tmp_path, monkeypatch):
    """The launches of a step are all queued before any of its values is read."""
    if gpu != "cuda":
        pytest.skip("a CPU has no queue to wait for")
    waits, step = [], loop.TrainingRun.step

    def watched(run, number, passes):
        if number < 3:
            return step(run, number, passes)
        check, run.guard.check = run.guard.check, lambda keep=0: None
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(run, number, passes)
        except RuntimeError as error:
            waits.append(str(error))
            raise
        finally:
            torch.cuda.set_sync_debug_mode("default")
            run.guard.check = check

    monkeypatch.setattr(loop.TrainingRun, "step", watched)
    config = config_of(optim={"steps": 6, "micro_batch": 4}, save_every=0, log_every=100, workers=1)
    train(config, tmp_path / "run")
    assert not waits


def test_a_sharded_model_on_one_process_has_the_gradients_of_a_whole_one(gpu, tmp_path):
    import torch.distributed as dist

    device = torch.device(gpu)
    whole, _ = make_tiny(1, image_size=128)
    batch = make_training_batch(whole.config, 2, gpu)
    whole = whole.to(device).train()
    torch.manual_seed(0)
    whole(**batch).loss.backward()
    expected = {name: p.grad.clone() for name, p in whole.named_parameters() if p.grad is not None}
    dist.init_process_group(
        "nccl" if gpu == "cuda" else "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        sharded, _ = make_tiny(1, image_size=128)
        sharded = sharded.to(device).train()
        shard_model(sharded, "everything", device, 1)
        torch.manual_seed(0)
        sharded(**batch).loss.backward()
        found = {name: p.grad.full_tensor() for name, p in sharded.named_parameters() if p.grad is not None}
    finally:
        dist.destroy_process_group()
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-3 * float(gradient.abs().max()) + 1e-7), name


def test_replayed_steps_have_the_losses_of_launched_ones(gpu, config_of, fixed_points, tmp_path):
    if gpu != "cuda":
        pytest.skip("a CPU launches nothing")
    optim = {"steps": 20, "learning_rate": 1e-4, "micro_batch": 4}
    model = {"size": "mini", "freeze_vision": False, "architecture": {"drop_path_rate": 0.0}}
    options = {"optim": optim, "save_every": 0, "precision": "bf16"}
    train(config_of(**options, model=model), tmp_path / "launched")
    train(config_of(**options, model={**model, "replay": True}), tmp_path / "replayed")
    assert losses(tmp_path / "replayed") == pytest.approx(losses(tmp_path / "launched"), rel=2e-2)


def test_every_replay_draws_other_points(gpu, config_of, tmp_path):
    if gpu != "cuda":
        pytest.skip("a CPU launches nothing")
    optim = {"steps": 6, "learning_rate": 1e-9, "micro_batch": 4, "global_batch": 4}
    data = {"train": "train[:4]"}
    model = {"size": "mini", "freeze_vision": False, "replay": True, "architecture": {"drop_path_rate": 0.0}}
    train(config_of(optim=optim, save_every=0, model=model, data=data), tmp_path / "run")
    found = losses(tmp_path / "run", "mask")
    assert len(set(found.values())) > 1, "the same four samples and weights: only the points differ"


@pytest.mark.parametrize(("queries", "keys"), [(192, 192), (704, 704), (1, 128), (1, 1024)])
def test_attention_of_training_has_finite_gradients_where_that_of_cudnn_has_none(queries, keys, gpu):
    """The input of github.com/pytorch/pytorch/issues/196678, and one query as in NVIDIA/cudnn-frontend/issues/1072."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, n, 64, device=gpu, dtype=torch.bfloat16) * 0.1 for n in (queries, keys, keys))
    q[..., 0], k[..., 0] = 1.0, -120 * 64**0.5  # every score is about -120
    parts = [part.requires_grad_() for part in (q, k, v)]
    mask = torch.ones(queries, keys, dtype=torch.bool, device=gpu).tril()[None, None]
    with sdpa_kernel(list(loop.SOUND_ATTENTION)):
        output = F.scaled_dot_product_attention(*parts, attn_mask=mask)
        output.backward(torch.ones_like(output))
    assert all(part.grad.isfinite().all() for part in parts)
