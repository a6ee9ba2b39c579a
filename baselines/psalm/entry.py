"""Register PSALM."""

from baselines.registry import ModelEntry, register

register(
    ModelEntry(
        name="psalm",
        summary="scored mask queries; needs --checkpoint",
        predictor="baselines.psalm.predictor:PsalmPredictor.build",
        learner="baselines.psalm.learner:build",
        converter="baselines.psalm.conversion:convert",
        assembler="baselines.psalm.assembly:assemble",
        parts=("llm", "mask2former"),
        presets={"smoke": {}, "tiny": {}},
        trained=True,
        architecture=frozenset({"vision", "no_target_head", "drop_path_rate", "connector_strides"}),
        adaptable=frozenset({"no_target_head", "drop_path_rate", "image_size"}),
    )
)
