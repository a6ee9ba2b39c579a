"""A step whose loss or gradient is not finite is skipped and counted; too many of them stop the run."""

import logging

import pytest
import torch

from baselines.common import modeling
from baselines.training import loop
from baselines.training.checkpoints import list_states
from baselines.training.guard import Guard
from baselines.training.loop import train
from earthreason.errors import EarthReasonError
from tests.baselines.training.test_loop import config_of, losses

NAN, INF = float("nan"), float("inf")


def flags_of(guard, values, check=True):
    """The flags of steps with these losses, each checked one step later."""
    flags = []
    for step, value in enumerate(values):
        flags.append(guard.watch(step, [], torch.tensor([value])).item())
        if check:
            guard.check(keep=1)
    return flags


def test_single_steps_that_are_not_finite_are_flagged_and_counted(tmp_path, caplog):
    guard = Guard(tmp_path, 0, ["loss"], max_skipped=3)
    with caplog.at_level(logging.WARNING, "earthreason.training"):
        assert flags_of(guard, [1.0, NAN, 2.0, INF, -INF, 3.0]) == [0, 1, 0, 1, 1, 0]
        assert guard.check() is False
    assert guard.skipped == 3
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "step 1 is skipped",
        "step 3 is skipped",
        "step 4 is skipped",
    ]
    assert str(tmp_path / "nan") in caplog.text
    assert not (tmp_path / "nan" / "stopped.txt").exists()


def test_one_more_than_allowed_in_a_row_stops_and_no_later_step_counts(tmp_path):
    guard = Guard(tmp_path, 0, ["loss"], max_skipped=2)
    # The device is ahead of the check: it must not take the finite steps after the third.
    assert flags_of(guard, [1.0, NAN, NAN, NAN, 1.0, 1.0], check=False) == [0, 1, 1, 1, 1, 1]
    with pytest.raises(EarthReasonError, match="the loss of step 3 is nan.*; 3 steps in a row were skipped"):
        guard.check()
    assert "3 steps in a row" in (tmp_path / "nan" / "stopped.txt").read_text()


def test_too_large_a_share_of_skipped_steps_stops(tmp_path):
    guard = Guard(tmp_path, 0, ["loss"], max_skipped=3)
    # 1 of 2 steps: after 3 skipped ones the fourth, in step 7, is over 5 % of 8 steps.
    flags_of(guard, [1.0, NAN] * 3)
    with pytest.raises(EarthReasonError, match="4 of 8 steps skipped"):
        flags_of_rest = [guard.watch(step, [], torch.tensor([value])) for step, value in ((6, 1.0), (7, NAN))]
        assert len(flags_of_rest) == 2
        guard.check()


def test_a_small_share_of_skipped_steps_goes_on_for_ever(tmp_path):
    guard = Guard(tmp_path, 0, ["loss"], max_skipped=1)
    flags_of(guard, ([1.0] * 39 + [NAN]) * 10)  # 2.5 %
    guard.check()
    assert guard.skipped == 10
    assert len(list((tmp_path / "nan").iterdir())) == 5  # batches are large: only the first ones are kept


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(modeling, "language_loss", lambda head, states, *_: states.sum() * float("nan"))
    with pytest.raises(EarthReasonError, match="the loss of step 0 is nan"):
        train(config_of(optim={"max_skipped": 0}), tmp_path / "run")
    assert (tmp_path / "run" / "nan" / "step-0000000-rank-0.pt").is_file()


class Overflow(torch.autograd.Function):
    """Changes nothing, but the gradient is infinite."""

    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("inf")


def overflow_in_pass(numbers, monkeypatch):
    """Let some forward passes, counted from 1, have an infinite gradient; a list that grows with every pass."""
    proper, calls = modeling.language_loss, []

    def breaking(*parts):
        calls.append(1)
        return Overflow.apply(proper(*parts)) if len(calls) in numbers else proper(*parts)

    monkeypatch.setattr(modeling, "language_loss", breaking)
    return calls


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gradient_that_is_no_number_stops_the_run_before_it_reaches_the_weights(clip, tmp_path, monkeypatch):
    overflow_in_pass({2}, monkeypatch)
    config = config_of(optim={"micro_batch": 4, "clip": clip, "steps": 3, "max_skipped": 0}, save_every=1)
    with pytest.raises(EarthReasonError, match="the gradient of step 1 is (inf|nan)"):
        train(config, tmp_path / "run")
    kept = {path.name for path in (tmp_path / "run" / "nan").iterdir()}
    assert kept == {"step-0000001-rank-0.pt", "stopped.txt"}
    state = torch.load(list_states(tmp_path / "run" / "checkpoints")[-1] / "state.pt")
    assert all(tensor.isfinite().all() for tensor in state["model"].values() if tensor.is_floating_point())


@pytest.mark.parametrize("fused", [True, False])
def test_weights_stay_those_of_before_the_step_that_broke(fused, tmp_path, monkeypatch):
    calls = overflow_in_pass({3}, monkeypatch)
    config = config_of(optim={"micro_batch": 4, "steps": 6, "fused": fused, "max_skipped": 0}, save_every=0)
    runs, start = [], loop.TrainingRun.resume
    monkeypatch.setattr(loop.TrainingRun, "resume", lambda run: runs.append(run) or start(run))
    kept, step = [], loop.TrainingRun.step

    def remembering(run, number, passes):
        kept.append([parameter.clone() for parameter in run.model.parameters()])
        return step(run, number, passes)

    monkeypatch.setattr(loop.TrainingRun, "step", remembering)
    with pytest.raises(EarthReasonError, match="the gradient of step 2"):
        train(config, tmp_path / "run")
    assert len(calls) == (4 if fused else 3)  # with the flag on the device, one more step was on its way
    assert not all(map(torch.equal, kept[1], kept[2]))
    assert all(map(torch.equal, runs[0].model.parameters(), kept[2]))


@pytest.mark.parametrize("fused", [True, False])
def test_a_skipped_step_changes_neither_weights_nor_moments_and_the_run_goes_on(fused, tmp_path, monkeypatch):
    overflow_in_pass({3}, monkeypatch)
    optim = {"micro_batch": 4, "steps": 5, "fused": fused, "ema": 0.5}
    states, step = [], loop.TrainingRun.step

    def remembering(run, number, passes):
        taken = step(run, number, passes)
        moments = [value.clone() for state in run.prepared.optimizer.state.values() for value in state.values()]
        states.append([*(parameter.detach().clone() for parameter in run.model.parameters()), *moments])
        return taken

    monkeypatch.setattr(loop.TrainingRun, "step", remembering)
    train(config_of(optim=optim, save_every=0), tmp_path / "run")
    assert all(map(torch.equal, states[1], states[2]))
    assert not all(map(torch.equal, states[2], states[3]))
    assert all(tensor.isfinite().all() for tensor in states[4])
    # Known one step later with the fused kernel, so that no step waits for the device.
    assert losses(tmp_path / "run", "skipped") == {1: 0, 2: 0, 3: 0 if fused else 1, 4: 1, 5: 1}
    saved = torch.load(tmp_path / "run" / "nan" / "step-0000002-rank-0.pt")
    assert saved[0]["pixel_values"].shape[0] == 4


def test_the_count_of_skipped_steps_survives_a_restart(tmp_path, monkeypatch):
    overflow_in_pass({2}, monkeypatch)
    config = config_of(optim={"micro_batch": 4, "steps": 4}, save_every=3)
    stop, after = RuntimeError("killed"), loop.TrainingRun.after

    def killed(run, done, metrics):
        after(run, done, metrics)
        if done == 3:
            raise stop

    monkeypatch.setattr(loop.TrainingRun, "after", killed)
    with pytest.raises(RuntimeError, match="killed"):
        train(config, tmp_path / "run")
    monkeypatch.setattr(loop.TrainingRun, "after", after)
    train(config, tmp_path / "run")
    assert losses(tmp_path / "run", "skipped")[4] == 1


def test_training_leaves_out_the_attention_of_cudnn_in_forward_and_backward_and_allows_it_again(tmp_path, monkeypatch):
    seen = []

    class Look(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            seen.append(torch.backends.cuda.cudnn_sdp_enabled())
            return value.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen.append(torch.backends.cuda.cudnn_sdp_enabled())
            return gradient

    proper = modeling.language_loss
    monkeypatch.setattr(modeling, "language_loss", lambda *parts: Look.apply(proper(*parts)))
    before = torch.backends.cuda.cudnn_sdp_enabled()
    train(config_of(optim={"micro_batch": 4, "steps": 1}, save_every=0), tmp_path / "run")
    assert seen == [False, False]
    assert torch.backends.cuda.cudnn_sdp_enabled() == before
