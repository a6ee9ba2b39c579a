"""The models that mark targets: for `masks prelabel` without a click, for `assist` with one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.installing import import_name
from earthreason.predictors import Saliency
from earthreason.types import Predictor

from .grabcut import GrabCut
from .prompts import Prompts
from .sam import FAMILIES, SegmentAnything

HELPERS: dict[str, Callable[[], Predictor]] = {"superpixels": Saliency, "grabcut": GrabCut}
"""Predictors that need no weights."""
QUESTION_BLIND = (Saliency, GrabCut, SegmentAnything)
"""Models that do not read the question: their answers about one picture are all the same."""
_MODELS = "earthreason-baselines"
"""Distribution of the reference models."""


@runtime_checkable
class Segmenter(Protocol):
    """A model that clicks and boxes guide. Baselines have a `segment` of their own, which reads questions."""

    def segment_shown(self, image: Image.Image, prompts: Prompts) -> np.ndarray | None:
        """Return the (height, width) bool mask of what was shown, or None if nothing is found."""


def build_model(name: str, checkpoint: str | None, device: str) -> Predictor:
    """Build a model: a helper, `sam`, `sam2`, a model of `earthreason-baselines`, or your own class as MODULE:CLASS.

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
        devices = import_module(f"{import_name(_MODELS)}.common.devices")
        return SegmentAnything(checkpoint, devices.resolve_device(device), name)
    registry = import_module(f"{import_name(_MODELS)}.registry")
    registry.check_model(name, also=(*HELPERS, *FAMILIES))
    options = registry.PredictorOptions(checkpoint=checkpoint, device=device)
    model: Predictor = registry.build_predictor(name, options)
    return model
