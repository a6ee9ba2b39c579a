"""PixelReasoningMetric in two real gloo processes: any division of the questions gives the one-pass result on both."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

SAMPLES = 7
# Questions of each rank. "repeated": a distributed sampler gives every rank as many, so the first sample comes twice.
DIVISIONS = {
    "repeated": ([0, 2, 4, 6], [1, 3, 5, 0]),
    "uneven": ([0], [1, 2, 3, 4, 5, 6]),
    "second rank empty": ([*range(SAMPLES)], []),
    "first rank empty": ([], [*range(SAMPLES)]),
    "both empty": ([], []),
}


def case(k):
    rng = np.random.default_rng(k)
    return f"s{k}", rng.random((8, 12)) < 0.5, rng.random((8, 12)) < (0.5 if k % 3 else 0.0)


def by_numpy():
    """The scores at the masks' own size, from their definitions, without our code."""
    pairs = [case(k)[1:] for k in range(SAMPLES)]
    shared, union = ([int(f(a, b).sum()) for a, b in pairs] for f in (np.logical_and, np.logical_or))
    targets = [i / u for i, u, (_, truth) in zip(shared, union, pairs, strict=True) if truth.any()]
    return {
        "gIoU": sum(i / u for i, u in zip(shared, union, strict=True)) / SAMPLES,
        "cIoU": sum(shared) / sum(union),
        "gIoU_targets": sum(targets) / len(targets),
        "N-acc": 0.0,
        "T-acc": 1.0,
    }


def rank_main(rank, folder, root):
    sys.path.insert(0, root)
    from earthreason.metrics.torch import PixelReasoningMetric

    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = {}
    for name, shares in DIVISIONS.items():
        metric = PixelReasoningMetric("native")
        for k in shares[rank]:
            sample_id, prediction, truth = case(k)
            metric.update([torch.from_numpy(prediction)], [torch.from_numpy(truth)], [sample_id])
        scores = {key: value.item() for key, value in metric.compute().items()}
        local = PixelReasoningMetric("native", sync_on_compute=False)
        local.rows = metric.rows
        found[name] = {"scores": scores, "own": len(metric.rows), "local": local.compute()["gIoU"].item()}
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def test_every_division_gives_the_scores_of_all_questions_on_both_ranks(tmp_path):
    root = str(Path(__file__).resolve().parents[2])
    torch.multiprocessing.spawn(rank_main, args=(str(tmp_path), root), nprocs=2)
    expected = by_numpy()
    for rank in range(2):
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert list(found) == list(DIVISIONS)
        for name, shares in DIVISIONS.items():
            scores = {key: found[name]["scores"][key] for key in expected}
            if not any(shares):
                assert np.isnan(list(found[name]["scores"].values())).all()
                continue
            assert scores == pytest.approx(expected, abs=1e-12), (name, rank)
            assert found[name]["own"] == len(shares[rank])  # the state of the rank is its own again
            assert np.isnan(found[name]["local"]) == (not shares[rank])
