"""What a run leaves behind."""

import torch

from baselines.training.records import save_offender


def test_the_batches_of_every_process_are_kept(tmp_path):
    for rank in range(2):
        save_offender(tmp_path, 3, [(rank, {"input_ids": torch.tensor([rank])})], rank)
    found = [torch.load(path) for path in sorted((tmp_path / "nan").iterdir())]
    assert [list(passes) for passes in found] == [[0], [1]]
