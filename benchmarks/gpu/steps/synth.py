"""Draw a set of scenes: large ones for prediction, some for evaluation, or many for training."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from baselines.common.processes import usable_cores
from benchmarks.gpu.context import Context, read_context
from benchmarks.gpu.plan import PLAN


@dataclass(frozen=True)
class SceneSet:
    """A set of scenes.

    Attributes:
        counts: number of scenes by split; `train` has the wordings and categories of training.
        side: width and height in pixels.
        seed: seed of the set; it differs from that of the sample and of every other set.
        empty_share: share of scenes with an empty target.
        category_maps: whether to write the category of each pixel too.
    """

    counts: dict[str, int]
    side: int
    seed: int
    empty_share: float
    category_maps: bool = False


FULL = {
    "large_scenes": SceneSet({"test": 96}, 1200, 76, 0.12),
    "evaluation_scenes": SceneSet({"train": 500, "test": 500}, 256, 77, 0.3),
    "variant_scenes": SceneSet({"train": 2_500, "val": 200}, 256, 2, 0.25, category_maps=True),
    "training_scenes": SceneSet({"train": 12_000, "val": 400}, 256, 1, 0.25, category_maps=True),
}
TOY = {
    "large_scenes": SceneSet({"test": 6}, 256, 76, 0.12),
    "evaluation_scenes": SceneSet({"train": 8, "test": 8}, 128, 77, 0.3),
    "variant_scenes": SceneSet({"train": 32, "val": 8}, 128, 2, 0.25, category_maps=True),
    "training_scenes": SceneSet({"train": 48, "val": 12}, 128, 1, 0.25, category_maps=True),
}
_SPARED = 4
"""Number of cores left for the steps that run at the same time."""


def main(context: Context) -> None:
    scenes = (TOY if context.toy else FULL)[context.name]
    [folder] = [step.makes for step in PLAN if step.name == context.name]
    # Each worker uses one thread; more threads would only wait for each other.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    from earthreason import load_dataset
    from earthreason.synthetic import write_release

    began, total = time.perf_counter(), sum(scenes.counts.values())
    write_release(
        context.work / str(folder),
        scenes.counts,
        scenes.seed,
        workers=max(1, usable_cores() - _SPARED),
        size=(scenes.side, scenes.side),
        empty_share=scenes.empty_share,
        category_maps=scenes.category_maps,
    )
    if context.name == "evaluation_scenes":
        load_dataset("earthreason", "sample", split="test")  # drawn on first use
    seconds = time.perf_counter() - began
    context.row(set=context.name, scenes=total, seconds=round(seconds, 1), per_second=round(total / seconds, 1))


if __name__ == "__main__":
    main(read_context())
