"""Draw scenes: large ones for prediction, then for evaluation, then for training.

Each set appears whole, so that the steps which read it can begin while the next one is drawn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.gpu.context import Context, read_context, usable_cores
from earthreason.data.synthetic import write_release


@dataclass(frozen=True)
class Scenes:
    """A set of scenes.

    Attributes:
        name: of its folder.
        counts: scenes by split; `train` has the wordings and categories of training.
        side: pixels.
        seed: of the set, neither that of the sample nor that of another set.
        empty_share: of scenes in which nothing answers.
    """

    name: str
    counts: dict[str, int]
    side: int
    seed: int
    empty_share: float


FULL = (
    Scenes("large", {"test": 200}, 1200, 76, 0.12),
    Scenes("evaluation", {"train": 500, "test": 500}, 256, 77, 0.3),
    Scenes("training", {"train": 32_000, "val": 400}, 256, 1, 0.25),
)
TOY = (
    Scenes("large", {"test": 6}, 256, 76, 0.12),
    Scenes("evaluation", {"train": 8, "test": 8}, 128, 77, 0.3),
    Scenes("training", {"train": 48, "val": 12}, 128, 1, 0.25),
)


def main(context: Context) -> None:
    for scenes in TOY if context.toy else FULL:
        began, total = time.perf_counter(), sum(scenes.counts.values())
        write_release(
            context.work / "scenes" / scenes.name, scenes.counts, scenes.seed, workers=max(1, usable_cores() - 2),
            size=(scenes.side, scenes.side), empty_share=scenes.empty_share,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        context.row(set=scenes.name, scenes=total, seconds=round(seconds, 1), per_second=round(total / seconds, 1))


if __name__ == "__main__":
    main(read_context("synth"))
