"""The judge as a torchmetrics.Metric, in one process and in two."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

from earthreason import evaluate  # noqa: E402
from earthreason.errors import EarthReasonError  # noqa: E402

SAMPLES = 7


def case(k: int):
    rng = np.random.default_rng(k)
    return f"s{k}", rng.random((8, 12)) < 0.5, rng.random((8, 12)) < (0.5 if k % 3 else 0.0)


def rank_main(rank: int, folder: str, root: str) -> None:
    sys.path.insert(0, root)
    from earthreason.metrics.torch import PixelReasoningMetric

    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    metric = PixelReasoningMetric()
    # As a distributed sampler does: every rank gets as many, so the first sample comes twice.
    for k in [*range(SAMPLES), 0][rank::2]:
        sample_id, prediction, truth = case(k)
        metric.update([torch.from_numpy(prediction)], [torch.from_numpy(truth)], [sample_id])
    scores = metric.compute()
    Path(folder, f"{rank}.json").write_text(json.dumps(scores))
    torch.distributed.destroy_process_group()


def expected():
    cases = [case(k) for k in range(SAMPLES)]
    return evaluate({c[0]: c[1] for c in cases}, {c[0]: c[2] for c in cases}, resamples=0).scores


def test_two_processes_give_the_one_pass_result_on_both_ranks(tmp_path):
    root = str(Path(__file__).resolve().parents[2])
    torch.multiprocessing.spawn(_spawned, args=(str(tmp_path), root, __file__), nprocs=2)
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == pytest.approx(expected(), abs=1e-12)


def _spawned(rank: int, folder: str, root: str, file: str) -> None:
    rank_main(rank, folder, root)


def test_one_process_and_reset():
    from earthreason.metrics.torch import PixelReasoningMetric

    metric = PixelReasoningMetric()
    for k in range(SAMPLES):
        sample_id, prediction, truth = case(k)
        metric.update([prediction], [truth], [sample_id])
    assert metric.compute() == pytest.approx(expected(), abs=1e-12)
    metric.reset()
    metric.update([None], [np.zeros((3, 3))], ["x"])
    assert metric.compute()["gIoU"] == 1


def test_lengths_must_match():
    from earthreason.metrics.torch import PixelReasoningMetric

    with pytest.raises(EarthReasonError, match="one truth and one id"):
        PixelReasoningMetric().update([None], [], ["x"])
