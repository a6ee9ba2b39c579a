"""The step that trains tells a run with too many skipped steps apart from one whose recorded steps failed."""

import time

import pytest

from baselines.training.guard import STOPPED
from benchmarks.gpu.context import Context, read_rows, rows_of
from benchmarks.gpu.steps import train_tiny


@pytest.fixture
def context(tmp_path, monkeypatch):
    monkeypatch.setattr(train_tiny, "load_dataset", lambda *_, **__: None)
    return Context("train_tiny", "cpu", True, 60.0, tmp_path / "out", tmp_path, time.monotonic())


def errors_of(context, monkeypatch, train):
    """Exit code and recorded errors, with `train` in place of the training command, and the changes it was given."""
    asked = []

    def run(context, scenes, out, changes):
        asked.append(changes)
        return train(out)

    monkeypatch.setattr(train_tiny, "_train", run)
    with pytest.raises(SystemExit) as stopped:
        train_tiny.main(context)
    return stopped.value.code, [row["error"] for row in read_rows(rows_of(context.work, "train_tiny"))], asked


def test_numbers_that_are_not_finite_are_named_and_nothing_is_trained_again(context, monkeypatch):
    def stop(out):
        (out / "nan").mkdir(parents=True)
        (out / "nan" / STOPPED).write_text("the gradient of step 445 is nan; 6 steps in a row were skipped\n")
        return 2

    code, errors, asked = errors_of(context, monkeypatch, stop)
    assert (code, asked) == (2, [[]])
    assert errors == ["training stopped: the gradient of step 445 is nan; 6 steps in a row were skipped"]


def test_a_failure_of_the_graphs_falls_back_to_training_without_them(context, monkeypatch):
    def fail(out):
        (out / "nan").mkdir(parents=True, exist_ok=True)  # some steps were skipped, but that did not stop it
        return 1

    code, errors, asked = errors_of(context, monkeypatch, fail)
    assert (code, asked) == (1, [[], ["model.replay=false"]])
    assert errors == ["training with CUDA graphs stopped (exit code 1), so it started again without them"]
