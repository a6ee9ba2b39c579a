"""Score checkpoints on new synthetic scenes, with wordings and categories that are not in the training data.

    python benchmarks/unseen.py runs/tiny/final runs/pretrained/final

Training uses its own wordings and omits four categories. "seen" scenes have the wordings and categories of training,
"wordings" have other wordings of the same categories, and "categories" have other wordings of the four. The p-value is
that of a paired permutation test of gIoU against the first checkpoint.
"""

import argparse
from pathlib import Path

from baselines.registry import PredictorOptions, build_predictor
from earthreason import evaluate
from earthreason.metrics.compare import compare_results
from earthreason.metrics.formats import format_interval
from earthreason.predictions.predict import predict_samples
from earthreason.synthetic import HELD_OUT_CATEGORIES, iterate_scenes
from earthreason.types import Sample

SEED = 77
"""Seed of the scenes, unlike those of the sample (0) and of the training scenes (1)."""


def make_groups(count: int) -> dict[str, list[Sample]]:
    """Draw scenes by what is new in them: `count` of each of the first two groups, and any of the third."""
    others = list(iterate_scenes(SEED, {"test": count * 28 // 24}, workers=2))
    return {
        "seen": list(iterate_scenes(SEED, {"train": count}, workers=2)),
        "wordings": [s for s in others if s.category not in HELD_OUT_CATEGORIES],
        "categories": [s for s in others if s.category in HELD_OUT_CATEGORIES],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--model", default="segearth_r1")
    parser.add_argument("--count", type=int, default=480)
    a = parser.parse_args()
    predictors = [build_predictor(a.model, PredictorOptions(checkpoint=str(path))) for path in a.checkpoints]
    for group, samples in make_groups(a.count).items():
        truth = {sample.sample_id: sample.mask for sample in samples}
        results = [evaluate(list(predict_samples(p, samples)), truth) for p in predictors]
        differences = [None, *compare_results(results)] if len(results) > 1 else [None]
        for path, result, difference in zip(a.checkpoints, results, differences, strict=True):
            interval = format_interval(result.intervals.get("gIoU")) or "too few images"
            against = "" if difference is None else f"  p {difference.differences['gIoU'].p_value:.4f}"
            print(
                f"{group:10s} {len(samples):4d}  {path!s:40s} gIoU {100 * result['gIoU']:5.1f} "
                f"({interval})  N-acc {100 * result['N-acc']:5.1f}  "
                f"T-acc {100 * result['T-acc']:5.1f}{against}"
            )


if __name__ == "__main__":
    main()
