"""What a run leaves behind."""

from types import SimpleNamespace

import pytest
import torch

from baselines.training import records
from baselines.training.records import Clock, save_offender


@pytest.mark.parametrize(("kind", "hours"), [("cuda", 8.0), ("cpu", 5.0)])
def test_time_adds_up_over_invocations_on_other_numbers_of_devices(kind, hours, monkeypatch):
    times = iter([100.0, 3700.0])
    monkeypatch.setattr(records.time, "perf_counter", lambda: next(times))
    accelerator = SimpleNamespace(num_processes=3, device=torch.device(kind))
    clock = Clock(accelerator, {"step": 4, "seconds": 900.0, "gpu_hours": 5.0})
    assert clock.facts() == {"seconds": 4500.0, "gpu_hours": hours}


def test_the_batches_of_every_process_are_kept(tmp_path):
    for rank in range(2):
        save_offender(tmp_path / "nan", 3, [(rank, {"input_ids": torch.tensor([rank])})], rank)
    found = [torch.load(path) for path in sorted((tmp_path / "nan").iterdir())]
    assert [list(passes) for passes in found] == [[0], [1]]
