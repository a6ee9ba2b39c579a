"""Draw the first picture of the README: questions of the sample's test split, the truth, and the answers of a model.

python -m benchmarks.readme_picture docs/images/demo.jpg
python -m benchmarks.readme_picture docs/images/demo.jpg --samples synthetic_s7_test_000003 synthetic_s7_test_000010

Without `--samples` a rule chooses: of the scenes that `stands_clear` admits, in the order of the split and of one
category each, the first hits of the model, then its first miss; at the end the first empty target that it recognises.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.demo import find_predictors, stands_clear
from earthreason.errors import EarthReasonError, SampleNotFoundError
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.references import References, reference_of
from earthreason.reports.grid import Answer, save_grid
from earthreason.types import Predictor, Sample

HIT, MISS = 0.75, 0.25
"""IoU from which an answer is a hit, and under which it is a miss."""


def choose(samples: Iterable[Sample], predictor: Predictor, hits: int) -> list[Sample]:
    """Choose `hits` hits, a miss and a recognised empty target, each of another category.

    Raises:
        EarthReasonError: the samples have too few of them.
    """
    lacking = {"hit": hits, "miss": 1, "empty": 1}
    chosen: dict[str, list[Sample]] = {kind: [] for kind in lacking}
    seen: set[str | None] = set()
    for sample in samples:
        if sample.category in seen or not stands_clear(sample):
            continue
        mask = predictor.predict([sample.image], sample.questions[:1])[0]
        iou = float(evaluate({sample.sample_id: mask}, [sample], resamples=0).per_sample["iou"].iloc[0])
        if sample.is_empty:
            kind = "empty" if iou == 1 else ""
        else:
            kind = "hit" if iou >= HIT else "miss" if iou < MISS else ""
        if kind and len(chosen[kind]) < lacking[kind]:
            chosen[kind].append(sample)
            seen.add(sample.category)
        if all(len(chosen[kind]) == count for kind, count in lacking.items()):
            return [sample for kind in lacking for sample in chosen[kind]]
    raise EarthReasonError(f"the samples have too few hits, misses or recognised empty targets: wanted {lacking}")


def draw_answers(out: Path, samples: Sequence[Sample], predictors: dict[str, Predictor]) -> None:
    """Draw one row per sample: image with its first question, truth, and each predictor's answer.

    Args:
        out: picture to write.
        samples: samples to ask about.
        predictors: predictors by name.
    """
    references = References(map(reference_of, samples), source="samples")
    rows: list[list[Answer]] = [[] for _ in samples]
    images, questions = [sample.image for sample in samples], [sample.questions[0] for sample in samples]
    for name, predictor in predictors.items():
        masks = dict(zip((sample.sample_id for sample in samples), predictor.predict(images, questions), strict=True))
        scored = evaluate(masks, references, resamples=0).per_sample.set_index("sample_id")["iou"]
        for row, (sample_id, mask) in zip(rows, masks.items(), strict=True):
            row.append(Answer(name, mask, float(scored[sample_id])))
    save_grid(out, list(zip(samples, rows, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", nargs="+", help="sample ids; default: chosen by the rule above")
    parser.add_argument("--hits", type=int, default=3, help="number of hits without --samples")
    parser.add_argument("--models", nargs="+", default=["segearth_r1-tiny"], help="columns; the first one chooses")
    a = parser.parse_args()
    predictors, notes = find_predictors()
    print(*notes, sep="\n", end="\n" * bool(notes))
    test = {row["sample_id"]: row for row in load_dataset("earthreason", "sample", split="test")}
    if lacking := [name for name in a.samples or [] if name not in test]:
        raise SampleNotFoundError(f"the test split of the sample has no {lacking[0]}")
    samples = (sample_of_row(test[name]) for name in a.samples or test)
    shown = {name: predictors[name] for name in a.models}
    chosen = list(samples) if a.samples else choose(samples, shown[a.models[0]], a.hits)
    print(*(sample.sample_id for sample in chosen), sep="\n")
    draw_answers(a.out, chosen, shown)


if __name__ == "__main__":
    main()
