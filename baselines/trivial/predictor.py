"""Builders of the models that ignore the question."""

from __future__ import annotations

from earthreason.predictors import Centre, Empty, Everything, Saliency

from ..registry import PredictorOptions
from .constant import BestConstant


def build_empty(options: PredictorOptions) -> Empty:
    return Empty()


def build_everything(options: PredictorOptions) -> Everything:
    return Everything()


def build_centre(options: PredictorOptions) -> Centre:
    return Centre()


def build_constant(options: PredictorOptions) -> BestConstant:
    samples = options.train_samples() if options.train_samples is not None else ()
    return BestConstant.fit(sample.mask for sample in samples)


def build_saliency(options: PredictorOptions) -> Saliency:
    return Saliency()
