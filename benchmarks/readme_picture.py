"""Draw the first picture of the README: questions of the sample's test split, the truth, and the answers of models.

python -m benchmarks.readme_picture docs/images/demo.jpg
python -m benchmarks.readme_picture docs/images/demo.jpg --samples synthetic_s7_test_000003 synthetic_s7_test_000010
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.demo import choose_scenes, find_predictors
from earthreason.errors import SampleNotFoundError
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.references import References, reference_of
from earthreason.reports.grid import Answer, save_grid
from earthreason.types import Predictor, Sample


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
    parser.add_argument(
        "--samples", nargs="+", help="sample ids; default: the first of each category, and an empty one"
    )
    parser.add_argument("--count", type=int, default=5, help="number of samples without --samples")
    parser.add_argument("--models", nargs="+", help="columns; default: all that `earthreason demo` shows")
    a = parser.parse_args()
    predictors, notes = find_predictors()
    print(*notes, sep="\n", end="\n" * bool(notes))
    test = {row["sample_id"]: row for row in load_dataset("earthreason", "sample", split="test")}
    if lacking := [name for name in a.samples or [] if name not in test]:
        raise SampleNotFoundError(f"the test split of the sample has no {lacking[0]}")
    samples = [sample_of_row(test[name]) for name in a.samples or test]
    chosen = samples if a.samples else choose_scenes(samples, a.count)
    draw_answers(a.out, chosen, {name: predictors[name] for name in a.models or predictors})


if __name__ == "__main__":
    main()
