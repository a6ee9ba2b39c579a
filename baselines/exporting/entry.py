"""Register the predictor of exported models."""

from ..registry import ModelEntry, register

register(
    ModelEntry(
        name="exported",
        summary="a model that `export` wrote; needs --checkpoint",
        predictor=f"{__package__}.runtime:ExportedPredictor.build",
    )
)
