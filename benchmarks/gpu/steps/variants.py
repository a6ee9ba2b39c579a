"""Train `tiny` for half a minute in several variants, on the same scenes, and compare their validation scores."""

from __future__ import annotations

import json

from benchmarks.gpu.context import Context, read_context
from benchmarks.gpu.steps.train_tiny import by_step, train
from earthreason import load_dataset
from earthreason.metrics.scores import IOU_AND_PRESENCE

VARIANTS: tuple[tuple[str, list[str]], ...] = (
    ("as configured", []),
    ("words from scratch", ["model.tokenizer=learned"]),
    ("without word dropout", ["data.word_dropout=0"]),
    ("without category maps", ["data.category_maps=false"]),
)
"""Names of the variants and their changes to tiny-gpu.yaml, the most wanted first."""
_SECONDS = 30.0
"""Training time of a variant."""
_STARTING = 20.0
"""Seconds that a variant takes to start, to validate and to be saved."""


def main(context: Context) -> None:
    scenes = context.work / "scenes" / "variant"
    load_dataset("earthreason", split="train", data_dir=scenes)  # prepared before the clock starts
    for number, (name, changes) in enumerate(VARIANTS[:2] if context.toy else VARIANTS):
        if not context.toy and context.left < _SECONDS + _STARTING:
            context.row(variant=name, error="no time was left")
            continue
        out = context.work / f"variant-{number}"
        if code := train(context, scenes, out, _SECONDS / 60, changes):
            context.row(variant=name, error=f"training stopped with exit code {code}")
            continue
        card = json.loads((out / "run.json").read_text())
        steps = by_step(out / "metrics.csv")
        last = steps[max(steps)]
        samples = card["steps"] * card["config"]["optim"]["global_batch"]
        context.row(
            variant=name,
            changes=changes,
            samples=samples,
            samples_per_s=round(samples / card["seconds"], 1),
            parameters=card["parameters"],
            loss=last["loss"],
            **{key: last[f"validation_{key}"] for key in IOU_AND_PRESENCE if f"validation_{key}" in last},
        )


if __name__ == "__main__":
    main(read_context())
