"""Tiny published sets in their real forms, files of predictions, and what their authors' evaluators give for these."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from typer.testing import CliRunner

from leaderboard.cli import app
from tests.data.fakes import drseg, geoseg_bench, lasers
from tests.data.golden_metrics.select_pairs import STORED, TENTHS


@dataclass(frozen=True)
class PublishedSet:
    """A set as its authors publish it.

    Attributes:
        make: writes the set into a folder.
        answers: masks by sample id, lists of masks where a question has several targets.
        protocol: protocol that describes the authors' evaluator.
        expected: scores of `answers` by that evaluator.
    """

    config: str
    make: Callable[[Path], None]
    answers: dict[str, Any]
    protocol: str
    expected: dict[str, float]

    def predictions(self, **info: Any) -> bytes:
        records = [{"sample_id": name, "segmentation": mask} for name, mask in self.answers.items()]
        return json.dumps({"info": info, "predictions": records}).encode()


def encode(mask: np.ndarray) -> dict[str, Any]:
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


# --- RRSIS-D: 39 pairs of the goldens, whose counts on RMSIN's grid were made by Pillow and not by this package ------

_PAIRS = [pair for pair in json.loads(STORED.read_text())["pairs"] if pair["kind"] not in ("gt_empty", "both_empty")]


def _make_rrsis_d(folder: Path) -> None:
    pictures = folder / "images" / "rrsisd" / "JPEGImages"
    pictures.mkdir(parents=True)
    (folder / "rrsisd").mkdir()
    references: list[dict[str, Any]] = []
    table: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
    table["categories"] = [{"id": 1, "name": "dam"}, {"id": 2, "name": "ship"}]
    for pair in _PAIRS:
        number, category = pair["id"] + 1, 1 + pair["id"] % 2
        height, width = pair["ground_truth"]["size"]
        Image.new("RGB", (width, height), (90, 99, 80)).save(pictures / f"{number:05d}.jpg")
        known = {"image_id": number, "category_id": category}
        table["images"].append({"id": number, "file_name": f"{number:05d}.jpg", "height": height, "width": width})
        table["annotations"].append({"id": number, **known, "segmentation": [pair["ground_truth"]]})
        said = [{"sent_id": number, "raw": "It", "sent": "it", "tokens": ["it"]}]
        own = {"ref_id": number, "ann_id": number, "split": "test", "sentences": said, "sent_ids": [number]}
        references.append({**own, **known, "file_name": f"{number:05d}.jpg"})
    (folder / "rrsisd" / "instances.json").write_text(json.dumps(table))
    (folder / "rrsisd" / "refs(unc).p").write_bytes(pickle.dumps(references))


def _rmsin() -> dict[str, float]:
    """RMSIN's test.py: the IoU is 0 where the union is, Pr@X counts an equal IoU, oIoU is the ratio of the sums."""
    shared, union = np.array([[p["stretch_480"][key] for key in ("intersection", "union")] for p in _PAIRS], float).T
    iou = np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)
    found = np.mean([np.any(coco.decode(pair["prediction"])) for pair in _PAIRS])
    precisions = {f"Pr@{threshold:g}": float((iou >= threshold).mean()) for threshold in TENTHS}
    return {"gIoU": iou.mean(), "cIoU": shared.sum() / union.sum(), "T-acc": found, **precisions}


RRSIS_D = PublishedSet(
    "rrsis-d", _make_rrsis_d, {f"rrsisd_{p['id'] + 1}": p["prediction"] for p in _PAIRS}, "rrsis-d", _rmsin()
)

# --- LaSeRS: two targets in the wrong order, the other three found ---------------------------------------------------


def _grown(name: str) -> tuple[int, int]:
    """Pixels of a rectangle on SegEarth-R2's grid, predicted and true.

    512 pixels become 1024. A predicted side of n becomes 2 n. Bilinear interpolation reaches half a source pixel
    further at both ends, so that a true side becomes 2 n + 2.
    """
    left, top, right, bottom = lasers.RECTANGLES[name]
    return 4 * (right - left) * (bottom - top), (2 * (right - left) + 2) * (2 * (bottom - top) + 2)


def _segearth_r2() -> dict[str, float]:
    """eval.py of SegEarth-R2: every mask is a case; the first two are exchanged and share no pixel."""
    predicted, true = zip(*map(_grown, "abcde"), strict=True)
    shared = [0, 0, *predicted[2:]]
    apart = [predicted[1] + true[0], predicted[0] + true[1]]
    union = [*apart, *true[2:]]
    iou = [one / other for one, other in zip(shared, union, strict=True)]
    return {"gIoU": sum(iou) / 5, "cIoU": sum(shared) / sum(union), "T-acc": 1.0}


LASERS = PublishedSet(
    "lasers",
    lasers.make,
    {
        "lasers_test_test_multi_target_7": [lasers.compressed("b"), lasers.compressed("a")],
        "lasers_test_test_multi_target_8": [lasers.compressed("c"), lasers.compressed("d")],
        "lasers_test_test_reasoning_7": lasers.compressed("e"),
    },
    "lasers",
    _segearth_r2(),
)

# --- DRSeg: masks that are moved by two pixels -----------------------------------------------------------------------

_DRONE = {f"drseg_test_{stem}": drseg.expected(stem) for stem in drseg.SPLITS["test"]}
_MOVED = {name: np.roll(mask, 2, axis=1) for name, mask in _DRONE.items()}


def _pixdlm() -> dict[str, float]:
    """PixDLM's validate, which is LISA's: float32, 1e-5 beside each union and 1e-10 beside their sum."""
    counts = [(np.sum(_DRONE[name] & _MOVED[name]), np.sum(_DRONE[name] | _MOVED[name])) for name in _DRONE]
    shared, union = np.array(counts, np.float32).T
    iou = shared / (union + np.float32(1e-5))
    return {"gIoU": float(iou.mean()), "cIoU": float(shared.sum() / (union.sum() + 1e-10)), "T-acc": 1.0}


DRSEG = PublishedSet("drseg", drseg.make, {name: encode(mask) for name, mask in _MOVED.items()}, "drseg", _pixdlm())

# --- GeoSeg-Bench: masks that are moved by three pixels --------------------------------------------------------------

_TASKS = {
    f"geoseg_test_{geoseg_bench.TASKS[task]}_{task}_jsons_{stem}": geoseg_bench.mask_of(task, stem)
    for task, stem, *_ in geoseg_bench.SAMPLES["test"]
}


def _letterbox(mask: np.ndarray, side: int = 512) -> np.ndarray:
    """Letterbox with OpenCV, as UniGeoSeg's eval.py does."""
    height, width = mask.shape
    inner = (side, int(height * (side / width))) if width > height else (int(width * (side / height)), side)
    canvas = np.zeros((side, side), np.uint8)
    top, left = (side - inner[1]) // 2, (side - inner[0]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(mask, inner, interpolation=cv2.INTER_NEAREST)
    return canvas > 0


def _unigeoseg() -> dict[str, float]:
    pairs = [(_letterbox(mask), _letterbox(np.roll(mask, 3, axis=1))) for mask in _TASKS.values()]
    shared = np.array([np.sum(one & other) for one, other in pairs])
    union = np.array([np.sum(one | other) for one, other in pairs])
    iou = shared / (union + 1e-5)
    precisions = {f"Pr@{threshold:g}": float((iou > threshold).mean()) for threshold in TENTHS}
    return {"gIoU": iou.mean(), "cIoU": shared.sum() / (union.sum() + 1e-10), "T-acc": 1.0, **precisions}


GEOSEG_BENCH = PublishedSet(
    "geoseg-bench",
    geoseg_bench.make,
    {name: encode(np.roll(mask, 3, axis=1)) for name, mask in _TASKS.items()},
    "geoseg-bench",
    _unigeoseg(),
)
PUBLISHED = (RRSIS_D, LASERS, DRSEG, GEOSEG_BENCH)


@pytest.fixture
def run(monkeypatch):
    """A function that runs the leaderboard's command and returns its result."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words):
        return CliRunner().invoke(app, [str(word) for word in words])

    return call
