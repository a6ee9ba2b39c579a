"""The step that trains tells a run with too many skipped steps apart from one whose recorded steps failed."""

import subprocess
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


@pytest.mark.parametrize(("size", "endings"), [(10, [""]), (11, [".1", ".2"]), (25, [".1", ".2", ".3"])])
def test_files_that_machines_refuse_come_back_in_parts(size, endings, tmp_path):
    archive = tmp_path / "a.tgz"
    archive.write_bytes(bytes(range(size)))
    (tmp_path / "out").mkdir()
    parts = train_tiny.copy_in_parts(archive, tmp_path / "out", 10)
    assert [part.name for part in parts] == [f"a.tgz{ending}" for ending in endings]
    assert max(part.stat().st_size for part in parts) <= 10
    joined = subprocess.run(["cat", *map(str, sorted((tmp_path / "out").iterdir()))], capture_output=True, check=True)
    assert joined.stdout == bytes(range(size))
