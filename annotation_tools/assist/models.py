"""The models that mark targets: for `masks prelabel` without a click, for `assist` with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from annotation_tools.assist.grabcut import GrabCut
from annotation_tools.assist.prompts import Prompts
from annotation_tools.assist.sam import FAMILIES, SegmentAnything
from earthreason.errors import EarthReasonError
from earthreason.predictors import Saliency
from earthreason.types import Predictor

HELPERS: dict[str, Callable[[], Predictor]] = {"superpixels": Saliency, "grabcut": GrabCut}
"""Predictors that need no weights."""
QUESTION_BLIND = (Saliency, GrabCut, SegmentAnything)
"""Models that do not read the question: their answers about one picture are all the same."""


@runtime_checkable
class Segmenter(Protocol):
    """A model that clicks and boxes guide. Baselines have a `segment` of their own, which reads questions."""

    def segment_shown(self, image: Image.Image, prompts: Prompts) -> np.ndarray | None:
        """Return the (height, width) bool mask of what was shown, or None if nothing is found."""


def build_model(name: str, checkpoint: str | None, device: str) -> Predictor:
    """Build a model: a helper, `sam`, `sam2`, a model of `python -m baselines`, or your own class as MODULE:CLASS.

    Raises:
        EarthReasonError: the name is unknown, or the model cannot be built.
    """
    if name in HELPERS:
        if checkpoint is not None:
            raise EarthReasonError(f"--checkpoint {checkpoint}: {name} has no weights; leave it out")
        return HELPERS[name]()
    if name in FAMILIES:
        if checkpoint is None:
            raise EarthReasonError(f"{name} needs --checkpoint, a folder with its weights in transformers format")
        return SegmentAnything(checkpoint, device, name)
    from baselines.registry import PredictorOptions, build_predictor, check_model

    check_model(name, also=(*HELPERS, *FAMILIES))
    return build_predictor(name, PredictorOptions(checkpoint=checkpoint, device=device))
