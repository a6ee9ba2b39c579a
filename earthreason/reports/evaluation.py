"""The report of an evaluation: one HTML page that opens offline, and a folder of pictures that load on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.masks.rle import decode_rle
from earthreason.metrics.breakdowns import FEW, TITLES
from earthreason.metrics.counts import Key
from earthreason.metrics.formats import format_score
from earthreason.metrics.result import NotScored, Result
from earthreason.metrics.scores import GIOU, OVERLAP, get_metric
from earthreason.overlay import PREDICTION_COLOUR, TRUTH_COLOUR, draw_overlay
from earthreason.predictions.reader import PredictionSource
from earthreason.reports.page import write_page
from earthreason.reports.table import (
    QUESTIONS,
    describe_size,
    describe_threshold,
    differences,
)
from earthreason.types import RLE

BINS = 20
_SIDE = 288


@dataclass(frozen=True)
class Scene:
    """Image and texts of a sample in a gallery."""

    image: Image.Image
    questions: list[str]
    answers: list[str]


SceneLoader = Callable[[str], Scene | None]
"""Function from a sample id to its scene; None if there are no images."""


def write_report(
    folder: Path,
    results: Sequence[Result | NotScored],
    predictions: PredictionSource,
    load_scene: SceneLoader,
    gallery: int = 24,
) -> Path:
    """Write `folder/index.html` and its pictures; return the path of the page.

    Args:
        folder: folder to write; it is created if missing, and an earlier report in it is replaced.
        results: results to report; the first in full, the others in the table of protocols.
        predictions: predictions that were scored.
        load_scene: function that loads images and questions.
        gallery: maximum number of samples in each of the four galleries.
    """
    result = results[0]
    assert isinstance(result, Result)
    chosen = {title: rows[:gallery] for title, rows in rank_for_galleries(result).items()}
    masks = _masks_of(predictions, {key for rows in chosen.values() for key in rows})
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    galleries = [
        (title, [_card(result, key, masks.get(key), load_scene, pictures) for key in rows])
        for title, rows in chosen.items()
    ]
    page = folder / "index.html"
    write_page(
        page,
        "evaluation.html",
        result=result,
        size=describe_size(result),
        threshold=describe_threshold(predictions.info),
        scores=[(get_metric(n).title, format_score(v), result.describe_interval(n)) for n, v in result.scores.items()],
        protocols=[_protocol_row(r) for r in results],
        histogram=_histogram(result.scored.iou),
        points=_points(result),
        breakdowns=_breakdowns(result),
        galleries=galleries,
        rows=_rows(result),
        overlap=OVERLAP,
        few=FEW,
    )
    return page


def rank_for_galleries(result: Result) -> dict[str, list[Key]]:
    """Rank the questions for each gallery, the most instructive first."""
    counts, iou = result.counts, result.scored.iou
    keys = counts.keys()

    def ranked(rows: np.ndarray, order: np.ndarray) -> list[Key]:
        numbers = np.flatnonzero(rows)
        return [keys[n] for n in numbers[np.argsort(order[numbers], kind="stable")]]

    target, marked = ~counts.truth_empty, ~counts.prediction_empty
    predicted, missed = (area / counts.grid_area for area in (counts.prediction_area, counts.truth_area))
    return {
        "Worst: low IoU on a target": ranked(target & marked, iou),
        "Best": ranked(target & marked, -iou),
        "False positives: a mask on an empty target": ranked(~target & marked, -predicted),
        "False negatives: no mask on a target": ranked(target & ~marked, -missed),
    }


def _masks_of(predictions: PredictionSource, keys: set[Key]) -> dict[Key, RLE | None]:
    masks = {}
    for prediction in predictions.read([]):
        key = (prediction.sample_id, prediction.question_index)
        if key in keys:
            masks[key] = prediction.segmentation
    return masks


def _card(result: Result, key: Key, predicted: RLE | None, load_scene: SceneLoader, pictures: Path) -> dict[str, Any]:
    sample_id, index = key
    reference = result.references[sample_id]
    truth = decode_rle(reference.segmentation)
    scene = load_scene(sample_id)
    image = Image.new("RGB", truth.shape[::-1], (128, 128, 128)) if scene is None else scene.image
    mask = None if predicted is None else decode_rle(predicted)
    shown = []
    name = hashlib.blake2b(sample_id.encode(), digest_size=8).hexdigest()  # an id may contain any character
    for label, layer, colour in (
        ("image", None, TRUTH_COLOUR),
        ("truth", truth, TRUTH_COLOUR),
        (f"prediction{index}", mask, PREDICTION_COLOUR),
    ):
        if label == "image" and scene is None:
            continue
        file = pictures / f"{name}-{label}.jpg"
        # A mask on a canvas does not fit the image, so it is drawn alone.
        base = image
        if layer is not None and layer.shape != truth.shape:
            base = Image.new("RGB", layer.shape[::-1], (90, 90, 90))
        draw_overlay(base, layer, colour, side=_SIDE).save(file, "JPEG", quality=82)
        shown.append((f"pictures/{file.name}", label.rstrip("0123456789")))
    iou = dict(zip(result.counts.keys(), result.scored.iou.tolist(), strict=True))[key]
    return {
        "sample_id": sample_id,
        "index": index,
        "iou": f"{iou:.3f}",
        "question": scene.questions[index] if scene is not None and index < len(scene.questions) else "",
        "answer": scene.answers[0] if scene is not None and scene.answers else "",
        "category": reference.category or "",
        "pictures": shown,
    }


def _protocol_row(result: Result | NotScored) -> dict[str, Any]:
    rules = result.protocol
    row: dict[str, Any] = {
        "name": rules.name,
        "grid": rules.grid.name,
        "asks": QUESTIONS[rules.questions],
        "rules": "; ".join(differences(rules)[2:]),
        "reason": result.reason if isinstance(result, NotScored) else "",
        "scores": ["–"] * len(OVERLAP),
    }
    if isinstance(result, Result):
        if result.missing:
            row["rules"] += f"; {result.missing} of {len(result.counts)} questions unanswered and scored as empty"
        row["scores"] = [format_score(result.scores.get(name)) for name in OVERLAP]
    return row


def _histogram(iou: np.ndarray) -> list[tuple[float, int, float]]:
    """Return the lower edge of every bin, its count, and its count divided by the largest one."""
    numbers, edges = np.histogram(iou, bins=BINS, range=(0, 1))
    top = max(int(numbers.max()), 1)
    return [(float(edge), int(n), n / top) for edge, n in zip(edges[:-1], numbers, strict=True)]


def _points(result: Result, most: int = 4000) -> list[tuple[float, float, str]]:
    """Return target area (log scale, 0.01 % to 100 %) and IoU, both from 0 to 1, and id of at most `most` targets."""
    counts = result.counts
    rows = np.flatnonzero(~counts.truth_empty)
    if rows.size > most:
        rows = rows[np.linspace(0, rows.size - 1, most).astype(int)]
    ids = counts.sample_id[rows]
    share = np.array([truth.area / (truth.height * truth.width) for truth in map(result.references.__getitem__, ids)])
    x = np.clip((np.log10(np.maximum(share, 1e-9)) + 4) / 4, 0, 1)
    places = zip(x.tolist(), result.scored.iou[rows].tolist(), ids, strict=True)
    return [(round(area, 4), round(iou, 4), str(sample_id)) for area, iou, sample_id in places]


def _breakdowns(result: Result) -> list[tuple[str, list[dict[str, Any]]]]:
    return [
        (
            TITLES[name],
            [
                {
                    "group": group,
                    "n": int(row["n"]),
                    "few": bool(row["few"]),
                    "share": float(row[GIOU.name]),
                    "scores": [format_score(row[score]) for score in OVERLAP],
                }
                for group, row in frame.iterrows()
            ],
        )
        for name, frame in result.breakdowns.items()
    ]


def _rows(result: Result) -> list[Mapping[str, Any]]:
    frame = result.per_sample.sort_values("iou", kind="stable")
    return [
        {
            "sample_id": row.sample_id,
            "index": row.question_index,
            "iou": f"{row.iou:.3f}",
            "category": row.category or "",
            "verdict": _verdict(bool(row.truth_empty), bool(row.prediction_empty), bool(row.answered)),
        }
        for row in frame.itertuples()
    ]


def _verdict(truth_empty: bool, prediction_empty: bool, answered: bool) -> str:
    if not answered:
        return "unanswered"
    if truth_empty:
        return "rightly empty" if prediction_empty else "false positive"
    return "false negative" if prediction_empty else "overlap"
