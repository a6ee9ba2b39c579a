"""Public names of `baselines.registry` under their earlier address."""

from baselines.registry import MODELS, PredictorOptions, build_predictor, check_model

__all__ = ["MODELS", "PredictorOptions", "build_predictor", "check_model"]
