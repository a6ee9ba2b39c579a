"""Register PSALM."""

from ..registry import ModelEntry, register

register(
    ModelEntry(
        name="psalm",
        summary="scored mask queries; needs --checkpoint",
        predictor=f"{__package__}.predictor:PsalmPredictor.build",
        learner=f"{__package__}.learner:build",
        converter=f"{__package__}.conversion:convert",
        assembler=f"{__package__}.assembly:assemble",
        parts=("llm", "mask2former"),
        presets={"smoke": {}, "tiny": {}},
        trained=True,
        architecture=frozenset({"vision", "no_target_head", "drop_path_rate", "connector_strides"}),
        adaptable=frozenset({"no_target_head", "drop_path_rate", "image_size"}),
    )
)
