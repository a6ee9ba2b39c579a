"""Pictures for the model page of an open split: best and worst answers."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.masks.rle import decode_rle
from earthreason.metrics.compare import question_iou
from earthreason.metrics.counting import read_predictions
from earthreason.metrics.counts import Key
from earthreason.metrics.result import Result
from earthreason.overlay import PREDICTION_COLOUR, TRUTH_COLOUR, draw_overlay
from earthreason.predictions.reader import PredictionsFile
from earthreason.reports.evaluation import rank_for_galleries
from earthreason.types import RLE

EACH = 4
"""Samples per gallery."""


def draw_gallery(
    result: Result, predictions: PredictionsFile, scenes: Path
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Choose and draw samples.

    Args:
        result: the result under the main protocol.
        predictions: masks at the images' own size; masks on a canvas do not fit the images, so nothing is drawn.
        scenes: the zip of thumbnails.

    Returns:
        The galleries as JSON values, and their pictures by name, as JPEG.
    """
    if predictions.grid.kind != "native":
        return [], {}
    chosen = {title: rows[:EACH] for title, rows in rank_for_galleries(result).items()}
    wanted = {key for rows in chosen.values() for key in rows}
    masks = {
        (p.sample_id, p.question_index): p.segmentation
        for p in read_predictions(predictions, result.references, [])
        if (p.sample_id, p.question_index) in wanted
    }
    iou = question_iou(result.scored)
    galleries: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}
    with zipfile.ZipFile(scenes) as archive:
        texts = json.loads(archive.read("scenes.json"))
        for title, rows in chosen.items():
            cards = []
            for key in rows:
                name = f"{len(pictures) // 2}"
                scene = texts[key[0]]
                with Image.open(io.BytesIO(archive.read(scene["picture"])), formats=["JPEG"]) as opened:
                    image = opened.convert("RGB")
                pictures |= _draw(name, image, result.references[key[0]].segmentation, masks.get(key))
                cards.append(_card(name, key, iou[key], scene, result))
            if cards:
                galleries.append({"title": title, "cards": cards})
    return galleries, pictures


def _draw(name: str, image: Image.Image, truth: RLE, predicted: RLE | None) -> dict[str, bytes]:
    drawn = {}
    for label, mask, colour in (("truth", truth, TRUTH_COLOUR), ("prediction", predicted, PREDICTION_COLOUR)):
        layer: np.ndarray | None = None if mask is None else decode_rle(mask)
        buffer = io.BytesIO()
        draw_overlay(image, layer, colour, side=max(image.size)).save(buffer, "JPEG", quality=82)
        drawn[f"{name}-{label}"] = buffer.getvalue()
    return drawn


def _card(name: str, key: Key, iou: float, scene: Mapping[str, Any], result: Result) -> dict[str, Any]:
    questions = scene["questions"]
    return {
        "name": name,
        "sample_id": key[0],
        "question": questions[key[1]] if key[1] < len(questions) else "",
        "iou": round(iou, 3),
        "category": result.references[key[0]].category or "",
    }
