"""Choose and load the model of `earthreason-baselines segment`."""

from __future__ import annotations

import json
from pathlib import Path

from earthreason.errors import EarthReasonError
from earthreason.types import Predictor

from .registry import MODELS, PredictorOptions, build_predictor, check_model

DEFAULT = "segearth_r1"
_PREFIX = "earthreason_"


def load_model(name: str | None, options: PredictorOptions) -> Predictor:
    """Load the model that a checkpoint is of, or the one that is named.

    Raises:
        EarthReasonError: there is no such checkpoint or model, or they do not fit.
    """
    if name is not None:
        check_model(name)
        return build_predictor(name, options)
    if options.checkpoint is None:
        raise EarthReasonError("give the weights with --checkpoint, or a model that needs none with --model")
    return build_predictor(model_of(options.checkpoint), options)


def model_of(checkpoint: str | Path) -> str:
    """Return the name of the model that a checkpoint is of; that of the reference model if it does not say.

    Raises:
        EarthReasonError: the checkpoint is missing.
    """
    from .common.predictor import find_config

    try:
        kind = json.loads(find_config(checkpoint).read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        return DEFAULT  # whose predictor says what is wrong with the file
    name = str(kind).removeprefix(_PREFIX)
    return name if name in MODELS else DEFAULT
