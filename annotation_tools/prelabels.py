"""Predict pre-annotations: with any `Predictor`, with SAM, or with helpers that need no weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from PIL import Image

from annotation_tools.drawing import Drawing
from annotation_tools.workspace import AnnotationTask, Workspace
from earthreason.errors import EarthReasonError
from earthreason.masks.grids import nearest_indices
from earthreason.masks.rle import encode_mask
from earthreason.predictions.predict import predict_samples
from earthreason.predictors import Saliency
from earthreason.types import Prediction, Predictor, Sample

KEPT_EVERY = 20.0
"""Seconds between saves, so that a killed run loses no more predictions."""
_SIDE = 512
"""Longest side in pixels of the copy that GrabCut works on, because its time grows with their number."""
_ROUNDS = 4
_COMPONENTS = 8
_ASK = "Where is what stands out from its surroundings?"


class GrabCut:
    """Salient superpixels with outlines refined by GrabCut (Rother et al., SIGGRAPH 2004; OpenCV)."""

    def __init__(self) -> None:
        self._start = Saliency()

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        return [
            None if mask is None else self._refine(image, mask)
            for image, mask in zip(images, self._start.predict(images, questions), strict=True)
        ]

    def _refine(self, image: Image.Image, mask: np.ndarray) -> np.ndarray | None:
        import cv2

        small = image.convert("RGB")
        small.thumbnail((_SIDE, _SIDE))
        seed = _resized(mask, small.height, small.width)
        if not seed.any() or seed.all():
            return mask
        labels = np.where(seed, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8, order="C")
        background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
        pixels = np.asarray(small)[..., ::-1].copy()  # OpenCV expects BGR
        cv2.setRNGSeed(0)
        cv2.grabCut(pixels, labels, (0, 0, 0, 0), background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK)
        marked = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
        return _resized(marked, *mask.shape) if marked.any() else None


class SegmentAnything:
    """SAM (Kirillov et al., 2023) through transformers, prompted with the boxes of salient regions."""

    def __init__(self, folder: str) -> None:
        """Load weights in transformers format from a folder, or from the Hub if it is reachable.

        Raises:
            EarthReasonError: there are no weights, or torch or transformers is not installed.
        """
        try:
            import torch
            from transformers import SamModel, SamProcessor

            self._torch = torch
            self._model = SamModel.from_pretrained(folder).eval()
            self._processor = SamProcessor.from_pretrained(folder)
        except ImportError as error:
            raise EarthReasonError(f"SAM needs {error.name}; pip install -e '.[baselines]'") from None
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise EarthReasonError(f"no SAM weights at {folder} ({reason}); grabcut needs none") from None
        self._start = Saliency()

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        seeds = self._start.predict(images, questions)
        return [
            None if seed is None else self._cut(image.convert("RGB"), seed)
            for image, seed in zip(images, seeds, strict=True)
        ]

    def _cut(self, image: Image.Image, seed: np.ndarray) -> np.ndarray | None:
        boxes = component_boxes(seed)
        inputs = self._processor(image, input_boxes=[boxes], return_tensors="pt")
        with self._torch.inference_mode():
            outputs = self._model(**inputs, multimask_output=False)
        masks = self._processor.post_process_masks(
            outputs.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"]
        )[0]  # (boxes, 1, height, width)
        mask = np.asarray(masks.squeeze(1).numpy().any(axis=0), bool)
        return mask if mask.any() else None


def component_boxes(mask: np.ndarray) -> list[list[float]]:
    """Return left, top, right and bottom of the largest connected components of a (height, width) bool mask."""
    from skimage.measure import label, regionprops

    parts = sorted(regionprops(label(mask)), key=lambda part: -part.area)[:_COMPONENTS]
    return [[float(x1), float(y1), float(x2), float(y2)] for y1, x1, y2, x2 in (part.bbox for part in parts)]


def _resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = nearest_indices(mask.shape[0], height), nearest_indices(mask.shape[1], width)
    return mask[rows][:, columns]


HELPERS: dict[str, Callable[[], Predictor]] = {"superpixels": Saliency, "grabcut": GrabCut}
"""Predictors that need no weights."""


def build_helper(name: str, checkpoint: str | None, device: str) -> Predictor:
    """Build a predictor: a helper, `sam`, a model of `python -m baselines`, or your own class as MODULE:CLASS.

    Raises:
        EarthReasonError: the name is unknown, or the predictor cannot be built.
    """
    if name in HELPERS:
        return HELPERS[name]()
    if name == "sam":
        if checkpoint is None:
            raise EarthReasonError("sam needs --checkpoint, a folder with SAM weights in transformers format")
        return SegmentAnything(checkpoint)
    from baselines.registry import PredictorOptions, build_predictor, check_model

    check_model(name, also=(*HELPERS, "sam"))
    return build_predictor(name, PredictorOptions(checkpoint=checkpoint, device=device))


def prelabel(
    workspace: Workspace,
    predictor: Predictor,
    name: str,
    question: str | None = None,
    replace: bool = False,
    batch_size: int = 4,
    progress: Callable[[int], object] = lambda _: None,
) -> dict[str, Drawing]:
    """Predict masks and store them as pre-annotations; return the new ones.

    They are stored every `KEPT_EVERY` seconds and at the end, even after an error or Ctrl-C. The workspace is locked
    only while storing.

    Args:
        workspace: workspace with the tasks.
        predictor: predictor of the masks.
        name: name of the model, stored as the tool.
        question: question for every image; None for each task's first question.
        replace: whether to replace existing pre-annotations, such as imported masks.
        batch_size: images per call.
        progress: called with numbers of tasks, which add up to that of all.

    Raises:
        EarthReasonError: the predictor returned a mask of another size.
    """
    before, kept, coming = workspace.prelabels(), dict[str, Drawing](), dict[str, Drawing]()
    waiting = [task for name, task in workspace.tasks.items() if replace or name not in before]
    samples = (_sample_of(task, workspace, question) for task in waiting)
    progress(len(workspace.tasks) - len(waiting))
    began = time.monotonic()
    try:
        for prediction in predict_samples(predictor, samples, batch_size=batch_size):
            task = workspace.tasks[prediction.sample_id]
            coming[task.task] = _drawing_of(prediction, task, name)
            if time.monotonic() - began > KEPT_EVERY:
                kept |= _keep(workspace, coming, replace)
                coming, began = {}, time.monotonic()
            progress(1)
    finally:
        kept |= _keep(workspace, coming, replace)
    return kept


def _sample_of(task: AnnotationTask, workspace: Workspace, question: str | None) -> Sample:
    image = Image.open(workspace.picture(task.task)).convert("RGB")
    unknown = np.broadcast_to(np.False_, (task.height, task.width))
    return Sample(task.task, image, unknown, [question or (task.questions[0] if task.questions else _ASK)])


def _drawing_of(prediction: Prediction, task: AnnotationTask, tool: str) -> Drawing:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    segmentation = prediction.segmentation or encode_mask(np.zeros((task.height, task.width), bool))
    category = task.category if prediction.segmentation else None
    return Drawing(task.task, segmentation, category, created=now, tool=tool, key="prelabel")


def _keep(workspace: Workspace, drawings: dict[str, Drawing], replace: bool) -> dict[str, Drawing]:
    """Store pre-annotations; without `replace`, keep those added by others in the meantime."""
    if not drawings:
        return {}
    with workspace.changing():
        there = workspace.prelabels()
        kept = {task: drawing for task, drawing in drawings.items() if replace or task not in there}
        workspace.write_prelabels(there | kept)
    return kept
