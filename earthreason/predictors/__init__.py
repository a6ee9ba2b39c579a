"""Predictors without weights or training, for the demo and `baselines.trivial`."""

from earthreason.predictors.saliency import Saliency
from earthreason.predictors.simple import Centre, Empty, Everything

__all__ = ["Centre", "Empty", "Everything", "Saliency"]
