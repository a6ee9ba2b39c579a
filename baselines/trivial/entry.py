"""Register the models that ignore the question."""

from ..registry import ModelEntry, register

register(
    ModelEntry(
        name="empty",
        summary="always answers 'no target'",
        predictor=f"{__package__}.predictor:build_empty",
        weights=False,
        presets={"smoke": {}, "tiny": {}},
    )
)
register(
    ModelEntry(
        name="everything",
        summary="marks the entire image",
        predictor=f"{__package__}.predictor:build_everything",
        weights=False,
        presets={"tiny": {}},
    )
)
register(
    ModelEntry(
        name="centre",
        summary="marks an ellipse in the middle",
        predictor=f"{__package__}.predictor:build_centre",
        weights=False,
        presets={"tiny": {}},
    )
)
register(
    ModelEntry(
        name="constant",
        summary="marks the constant mask that fits the train split best",
        predictor=f"{__package__}.predictor:build_constant",
        weights=False,
        presets={"smoke": {}, "tiny": {}},
    )
)
register(
    ModelEntry(
        name="saliency",
        summary="marks the superpixels whose colour stands out",
        predictor=f"{__package__}.predictor:build_saliency",
        weights=False,
        presets={"tiny": {}},
    )
)
