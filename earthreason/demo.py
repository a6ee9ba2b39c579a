"""Demonstrate the evaluation loop on the sample data: load, predict, score, show.

Besides two trivial predictors, it runs those that installed packages offer as entry points of the group
`earthreason.demo`: functions without arguments that return a predictor. So the core imports no reference model.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import cv2
import numpy as np

from earthreason.data.configs import SampleConfig
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError
from earthreason.installing import install_command, sources_of
from earthreason.masks.rle import decode_rle
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.formats import format_score
from earthreason.metrics.references import References, reference_of
from earthreason.metrics.result import Result
from earthreason.metrics.scores import HEADLINE
from earthreason.overlay import PREDICTION_COLOUR, TRUTH_COLOUR, draw_overlay
from earthreason.predictions import Predictions, read_predictions, write_predictions
from earthreason.predictions.predict import predict_samples
from earthreason.predictors import Centre, Saliency
from earthreason.reports.grid import Answer, save_grid
from earthreason.reports.page import embed_image, write_page
from earthreason.synthetic.generate import compose_scene
from earthreason.types import Predictor, Sample

GROUP = "earthreason.demo"
_ROADS = ("road", "crossing")
_CLEARANCE = 0.04
"""Least distance between a shown target and any road, as a share of the shorter side of the image."""
_SHARES = (0.005, 0.3)
"""Least and largest share of the image that a shown target covers, so that it and what surrounds it are seen well."""


@dataclass(frozen=True)
class DemoFiles:
    """Files and results of a demo run.

    Attributes:
        predictions: predictions file of each predictor.
        picture: grid of scenes and answers.
        page: the same as HTML, with the scores.
        results: scores by predictor.
        notes: why an offered predictor is not shown, one line each.
    """

    predictions: list[Path]
    picture: Path
    page: Path
    results: dict[str, Result]
    notes: list[str]


def find_predictors() -> tuple[dict[str, Predictor], list[str]]:
    """Build the trivial predictors and those of installed packages.

    Returns:
        Predictors by name, and a line about each offered one that cannot be built.
    """
    predictors: dict[str, Predictor] = {"centre": Centre(), "saliency": Saliency()}
    notes = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            predictors[entry.name] = entry.load()()
        except ModuleNotFoundError as error:
            offered_by = entry.dist.name if entry.dist else entry.module.partition(".")[0]
            remedy = install_command((sources_of(error.name or "") or [offered_by])[0])
            notes.append(f"{entry.name} is not shown: it needs {error.name}, which is not installed: {remedy}")
        except (ImportError, EarthReasonError) as error:
            reason = str(error).partition("\n")[0]
            notes.append(f"{entry.name} is not shown: {reason}")
    return predictors, notes


def run_demo(out: Path, shown: int = 6) -> DemoFiles:
    """Run the loop on the test split of the sample and write all files into `out`.

    Args:
        out: output folder; files of an earlier demo are replaced.
        shown: number of scenes in the picture and on the page.
    """
    predictors, notes = find_predictors()
    samples = [sample_of_row(row) for row in load_dataset("earthreason", "sample", split="test")]
    references = References(map(reference_of, samples), source="sample test")
    files: list[Path] = []
    answers: dict[str, Predictions] = {}
    for name, predictor in predictors.items():
        path = out / f"{name}.json"
        info = {"model": name, "config": "sample", "split": "test"}
        write_predictions(path, predict_samples(predictor, samples), info)
        answers[name] = read_predictions(path)
        files.append(path)
    results = {name: evaluate(read, references) for name, read in answers.items()}
    chosen = choose_scenes(samples, shown)
    rows = [(sample, _answers_to(sample, answers, results)) for sample in chosen]
    save_grid(out / "pictures.png", rows)
    _write_page(out / "index.html", rows, results)
    return DemoFiles(files, out / "pictures.png", out / "index.html", results, notes)


def choose_scenes(samples: list[Sample], count: int) -> list[Sample]:
    """Choose scenes of the sample's test split of different categories whose targets stand clear, and an empty one."""
    by_category: dict[str | None, Sample] = {}
    for sample in samples:
        if len(by_category) == count - 1:
            break
        if not sample.is_empty and sample.category not in by_category and stands_clear(sample):
            by_category[sample.category] = sample
    nothing = [sample for sample in samples if sample.is_empty]
    return list(by_category.values()) + nothing[:1]


def stands_clear(sample: Sample) -> bool:
    """Return whether the target of a sample of the test split is seen well, and no road leads to it or through it.

    Empty targets have nothing that a road could lead to.
    """
    if sample.is_empty:
        return True
    if not _SHARES[0] <= sample.mask.mean() <= _SHARES[1]:
        return False
    config = SampleConfig()
    scene = compose_scene(config.seed, "test", int(sample.sample_id[-6:]), config.size).scene
    around = _CLEARANCE * min(sample.mask.shape)
    near = cv2.distanceTransform((~sample.mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) < around
    return not any((item.mask & near).any() for item in scene.objects if item.kind in _ROADS)


def _answers_to(sample: Sample, answers: dict[str, Predictions], results: dict[str, Result]) -> list[Answer]:
    given = []
    for name, read in answers.items():
        segmentation = next(p.segmentation for p in read.predictions if p.sample_id == sample.sample_id)
        mask: np.ndarray | None = None if segmentation is None else decode_rle(segmentation)
        iou = results[name].per_sample.set_index("sample_id")["iou"][sample.sample_id]
        given.append(Answer(name, mask, float(iou)))
    return given


def _write_page(path: Path, rows: list[tuple[Sample, list[Answer]]], results: dict[str, Result]) -> None:
    first = next(iter(results.values()))
    names = HEADLINE
    write_page(
        path,
        "demo.html",
        samples=len(first.counts),
        empty=first.empty_targets,
        names=names,
        scores=[(name, [format_score(result[metric]) for metric in names]) for name, result in results.items()],
        shown=[_describe(sample, answers) for sample, answers in rows],
    )


def _describe(sample: Sample, answers: list[Answer]) -> dict[str, object]:
    truth = "no target" if sample.is_empty else "ground truth"
    with_truth = draw_overlay(sample.image, sample.mask, TRUTH_COLOUR)
    pictures = [(sample.image, "overhead image", "image"), (with_truth, f"ground truth mask: {truth}", truth)]
    for answer in answers:
        said = "no target, " if answer.mask is None else ""
        caption = f"{answer.model}: {said}IoU {answer.iou:.2f}"
        drawn = draw_overlay(sample.image, answer.mask, PREDICTION_COLOUR)
        pictures.append((drawn, f"prediction of {caption}", caption))
    return {
        "question": sample.questions[0],
        "answer": sample.answers[0] if sample.answers else "",
        "pictures": [{"src": embed_image(image), "alt": alt, "caption": caption} for image, alt, caption in pictures],
    }
