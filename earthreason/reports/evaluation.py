"""The report of an evaluation: HTML pages that open offline, and a folder of pictures that load on demand."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.masks.rle import decode_rle
from earthreason.metrics.breakdowns import FEW, TITLES
from earthreason.metrics.compare import question_iou
from earthreason.metrics.counting import read_predictions
from earthreason.metrics.counts import Key
from earthreason.metrics.formats import format_score
from earthreason.metrics.protocols import Protocol
from earthreason.metrics.references import References
from earthreason.metrics.result import NotScored, Result
from earthreason.metrics.scores import BOUNDARY_IOU, GIOU, HEADLINE, OVERLAP, get_metric
from earthreason.metrics.statistics import MIN_IMAGES
from earthreason.overlay import PREDICTION_COLOUR, TRUTH_COLOUR, draw_overlay
from earthreason.plurals import count_of
from earthreason.predictions.reader import PredictionSource
from earthreason.reports.charts import area_points, category_bars, histogram
from earthreason.reports.listings import FOLDER, Listing, divide
from earthreason.reports.page import write_page
from earthreason.reports.rules import QUESTIONS, describe_rules, place_of
from earthreason.reports.table import describe_size, describe_threshold
from earthreason.types import RLE

PAGE_CARDS, PAGE_ROWS = 12, 500
"""Most cards and most rows of a table on one page."""
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
    """Write `folder/index.html`, further pages of long lists, and pictures; return the path of the first page.

    Args:
        folder: folder to write; it is created if missing, and an earlier report in it is replaced at the end.
        results: results to report; the first in full, the others in the table of protocols.
        predictions: predictions that were scored.
        load_scene: function that loads images and questions.
        gallery: maximum number of samples in each of the four galleries.
    """
    result = results[0]
    assert isinstance(result, Result)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".report.", dir=folder) as scratch:
        new = Path(scratch)
        for part in _PARTS[:2]:
            (new / part).mkdir()
        galleries = _galleries(result, predictions, load_scene, gallery, new / "pictures")
        rows = _rows(result)
        listing = Listing(f"All {_unit(result)}", "all", divide(rows, PAGE_ROWS), len(rows), pictured=False)
        model = _model_of(result, predictions.info)
        for long in (*galleries, listing):
            for number in range(2, len(long.pages) + 1):
                file = new / FOLDER / long.file(number)
                write_page(file, "evaluation_page.html", model=model, listing=long, number=number)
        values = {"result": result, "model": model, "galleries": galleries, "rows": listing}
        write_page(new / "index.html", "evaluation.html", **values, **_summary(results, predictions.info))
        for part in _PARTS:
            _replace(new / part, folder / part)
    return folder / "index.html"


def _unit(result: Result) -> str:
    """Name what a row of the counts stands for."""
    return "targets" if result.protocol.unit == "mask" else "questions"


_PARTS = ("pictures", FOLDER, "index.html")
"""Everything that a report writes into its folder."""


def _replace(new: Path, old: Path) -> None:
    if old.is_dir():
        shutil.rmtree(old)
    new.replace(old)


def _model_of(result: Result, info: Mapping[str, Any]) -> str:
    model = info.get("model")
    return model if isinstance(model, str) and model.strip() else result.source


def _summary(results: Sequence[Result | NotScored], info: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything on the first page except the galleries and the list of questions."""
    result = results[0]
    assert isinstance(result, Result)
    bins, bars = histogram(result.scored.iou), category_bars(result)
    return {
        "size": describe_size(result),
        "unit": _unit(result),
        "least": MIN_IMAGES,
        "place": place_of(result.protocol.grid),
        "with_intervals": bool(result.intervals or result.no_interval),
        "threshold": describe_threshold(info),
        "facts": _facts(result, info),
        "headline": [_tile(result, name) for name in (*HEADLINE, BOUNDARY_IOU.name) if name in result.scores],
        "scores": [
            (get_metric(n).title, format_score(v), result.describe_interval(n), n in result.intervals)
            for n, v in result.scores.items()
        ],
        "protocols": [_protocol_row(r, result.protocol) for r in results],
        "histogram": bins,
        "most": max(n for _, n, _ in bins),
        "points": area_points(result),
        "bars": bars,
        "overall": round(100 * (result.scores[GIOU.name] or 0), 2),
        "breakdowns": _breakdowns(result),
        "overlap": OVERLAP,
        "few": FEW,
    }


def _facts(result: Result, info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the file and what it says about itself: its plain values, such as configuration, split and checkpoint."""
    stated = {"model": "", "no_target_threshold": ""}  # elsewhere on the page
    plain = {name: value for name, value in info.items() if isinstance(value, str | int | float)}
    facts = [(name.replace("_", " "), str(value)) for name, value in plain.items() if name not in stated]
    return [*facts, ("predictions", result.source)]


def _tile(result: Result, name: str) -> dict[str, str]:
    return {
        "name": name,
        "value": format_score(result.scores[name]),
        "interval": result.describe_interval(name),
        "meaning": get_metric(name).title.removeprefix(name).strip(" ()"),
    }


def _galleries(
    result: Result, predictions: PredictionSource, load_scene: SceneLoader, most: int, pictures: Path
) -> list[Listing]:
    """Draw the cards of every gallery that has any; a question in two galleries is drawn once."""
    ranked = rank_for_galleries(result)
    wanted = dict.fromkeys(key for rows in ranked.values() for key in rows[:most])
    masks = _masks_of(predictions, result.references, set(wanted))
    iou = question_iou(result.scored)
    cards = {key: _card(result, key, iou[key], masks.get(key), load_scene, pictures) for key in wanted}
    return [
        Listing(title, f"g{number}", divide([cards[key] for key in rows[:most]], PAGE_CARDS), len(rows))
        for number, (title, rows) in enumerate(ranked.items(), start=1)
        if rows[:most]
    ]


def rank_for_galleries(result: Result) -> dict[str, list[Key]]:
    """Rank the questions for each gallery, the most instructive first."""
    counts, means = result.counts, question_iou(result.scored)
    keys, iou = list(means), np.array(list(means.values()))
    place = {key: number for number, key in enumerate(keys)}
    question = np.array([place[key] for key in counts.keys()], np.intp)  # noqa: SIM118 - a table of counts is no dict

    def ranked(chosen: np.ndarray, order: np.ndarray) -> list[Key]:
        numbers = np.flatnonzero(chosen)
        return [keys[n] for n in numbers[np.argsort(order[numbers], kind="stable")]]

    def total(rows: np.ndarray) -> np.ndarray:
        # A question whose targets are scored one by one has several rows.
        return np.bincount(question, rows, minlength=len(keys))

    target, marked = total(~counts.truth_empty) > 0, total(~counts.prediction_empty) > 0
    predicted, missed = (total(area / counts.grid_area) for area in (counts.prediction_area, counts.truth_area))
    return {
        "Worst: low IoU on a target": ranked(target & marked, iou),
        "Best": ranked(target & marked, -iou),
        "False positives: a mask on an empty target": ranked(~target & marked, -predicted),
        "False negatives: no mask on a target": ranked(target & ~marked, -missed),
    }


def _masks_of(predictions: PredictionSource, references: References, keys: set[Key]) -> dict[Key, RLE | None]:
    masks = {}
    for prediction in read_predictions(predictions, references, []):
        key = (prediction.sample_id, prediction.question_index)
        if key in keys:
            masks[key] = prediction.segmentation
    return masks


def _card(
    result: Result, key: Key, iou: float, predicted: RLE | None, load_scene: SceneLoader, pictures: Path
) -> dict[str, Any]:
    sample_id, index = key
    reference = result.references[sample_id]
    truth = decode_rle(reference.segmentation)
    scene = load_scene(sample_id)
    image = Image.new("RGB", truth.shape[::-1], (128, 128, 128)) if scene is None else scene.image
    mask = None if predicted is None else decode_rle(predicted)
    shown = []
    name = hashlib.blake2b(sample_id.encode(), digest_size=8).hexdigest()  # an id may contain any character
    for label, part, layer, colour in (
        ("image", "image", None, TRUTH_COLOUR),
        ("truth", "truth", truth, TRUTH_COLOUR),
        ("prediction", f"prediction{index}", mask, PREDICTION_COLOUR),
    ):
        if label == "image" and scene is None:
            continue
        file = pictures / f"{name}-{part}.jpg"
        # A mask on a canvas does not fit the image, so it is drawn alone.
        base = image
        if layer is not None and layer.shape != truth.shape:
            base = Image.new("RGB", layer.shape[::-1], (90, 90, 90))
        drawn = draw_overlay(base, layer, colour, side=_SIDE)
        drawn.save(file, "JPEG", quality=82)
        nothing = label != "image" and (layer is None or not layer.any())
        caption = f"{label}: no target" if nothing else label
        size = {"width": drawn.width, "height": drawn.height}
        shown.append({"source": f"pictures/{file.name}", "label": label, "caption": caption, **size})
    return {
        "sample_id": sample_id,
        "index": index,
        "iou": f"{iou:.3f}",
        "question": scene.questions[index] if scene is not None and index < len(scene.questions) else "",
        "answer": scene.answers[0] if scene is not None and scene.answers else "",
        "category": reference.category or "",
        "pictures": shown,
    }


def _protocol_row(result: Result | NotScored, first: Protocol) -> dict[str, Any]:
    rules = result.protocol
    row: dict[str, Any] = {
        "name": rules.name,
        "grid": rules.grid.name,
        "asks": QUESTIONS[rules.questions],
        "rules": describe_rules(rules, first, without=("grid", "questions")),
        "reason": result.reason if isinstance(result, NotScored) else "",
        "scores": ["–"] * len(OVERLAP),
    }
    if isinstance(result, Result):
        if result.missing:
            row["rules"] += (
                f"; {result.missing} of {count_of(result.questions, 'question')} unanswered and scored as empty"
            )
        if result.failed:
            row["rules"] += (
                f"; {result.failed} of {count_of(result.questions, 'answer')} unreadable and scored as wrong"
            )
        row["scores"] = [format_score(result.scores.get(name)) for name in OVERLAP]
    return row


def _breakdowns(result: Result) -> list[dict[str, Any]]:
    tables = []
    for name, frame in result.breakdowns.items():
        scores = [score for score in (*OVERLAP, BOUNDARY_IOU.name) if score in frame.columns and score in result.scores]
        groups = [
            {
                "group": group,
                "n": int(row["n"]),
                "few": bool(row["few"]),
                "share": float(row[GIOU.name]),
                "scores": [format_score(row[score]) for score in scores],
            }
            for group, row in frame.iterrows()
        ]
        tables.append({"title": TITLES[name], "scores": scores, "groups": groups})
    return tables


def _rows(result: Result) -> list[Mapping[str, Any]]:
    frame = result.per_sample.sort_values("iou", kind="stable")
    several = result.protocol.unit == "mask"
    return [
        {
            "sample_id": row.sample_id,
            "index": f"{row.question_index}, target {row.target_index}" if several else row.question_index,
            "iou": f"{row.iou:.3f}",
            "category": row.category or "",
            "verdict": _verdict(row),
        }
        for row in frame.itertuples()
    ]


def _verdict(row: Any) -> str:
    if not row.answered:
        return "unanswered"
    if row.failed:
        return "unreadable"
    if row.truth_empty:
        return "rightly empty" if row.prediction_empty else "false positive"
    return "false negative" if row.prediction_empty else "overlap"
