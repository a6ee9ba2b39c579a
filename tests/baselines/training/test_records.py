"""What a run leaves behind."""

import json
import subprocess
from types import SimpleNamespace

import pytest
import torch

from baselines.training import records
from baselines.training.config import TrainConfig
from baselines.training.records import Clock, save_offender, write_card


@pytest.mark.parametrize(("kind", "hours"), [("cuda", 8.0), ("cpu", 5.0)])
def test_time_adds_up_over_invocations_on_other_numbers_of_devices(kind, hours, monkeypatch):
    times = iter([100.0, 3700.0])
    monkeypatch.setattr(records.time, "perf_counter", lambda: next(times))
    accelerator = SimpleNamespace(num_processes=3, device=torch.device(kind))
    clock = Clock(accelerator, {"step": 4, "seconds": 900.0, "gpu_hours": 5.0})
    assert clock.facts() == {"seconds": 4500.0, "gpu_hours": hours}


def test_a_run_records_the_run_of_the_checkpoint_it_started_from(tmp_path):
    accelerator = SimpleNamespace(num_processes=1, device=torch.device("cpu"))
    clock, model = Clock(accelerator, {}), torch.nn.Linear(2, 1)
    for number in (1, 2, 3):
        before = None if number == 1 else str(tmp_path / str(number - 1) / "final")
        config = TrainConfig.model_validate({"name": f"stage {number}", "model": {"checkpoint": before}})
        out = tmp_path / str(number)
        (out / "final").mkdir(parents=True)
        write_card(out, config, model, number, clock, accelerator, {})
    last = json.loads((tmp_path / "3" / "run.json").read_text())
    assert [last["name"], last["started_from"]["name"], last["started_from"]["started_from"]["name"]] == [
        "stage 3",
        "stage 2",
        "stage 1",
    ]
    assert "started_from" not in last["started_from"]["started_from"]


def test_the_batches_of_every_process_are_kept(tmp_path):
    for rank in range(2):
        save_offender(tmp_path / "nan", 3, [(rank, {"input_ids": torch.tensor([rank])})], rank)
    found = [torch.load(path) for path in sorted((tmp_path / "nan").iterdir())]
    assert [list(passes) for passes in found] == [[0], [1]]


def git(folder, *words):
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    return subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True).stdout


def test_a_run_states_the_commit_of_the_checkout_and_none_of_a_repository_around_it(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    monkeypatch.setattr(records, "_ROOT", tmp_path)
    assert records.current_commit() == git(tmp_path, "rev-parse", "HEAD").strip()
    installed = tmp_path / "venv/lib/site-packages"
    installed.mkdir(parents=True)
    monkeypatch.setattr(records, "_ROOT", installed)
    assert records.current_commit() is None


def test_a_run_starts_on_a_machine_without_git(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(records, "_ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Clock(SimpleNamespace(num_processes=1, device=torch.device("cpu")), {}).commit is None
