"""Register the predictor of exported models."""

from baselines.registry import ModelEntry, register

register(
    ModelEntry(
        name="exported",
        summary="a model that `export` wrote; needs --checkpoint",
        predictor="baselines.exporting.runtime:ExportedPredictor.build",
    )
)
