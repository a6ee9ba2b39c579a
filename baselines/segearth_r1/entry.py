"""Register SegEarth-R1. It has no presets, as the comparison suites name it as their reference."""

from ..registry import ModelEntry, register

register(
    ModelEntry(
        name="segearth_r1",
        summary="the reference model of the paper; needs --checkpoint",
        predictor=f"{__package__}.predictor:SegEarthR1Predictor.build",
        learner=f"{__package__}.learner:build",
        converter=f"{__package__}.conversion:convert",
        assembler=f"{__package__}.assembly:assemble",
        parts=("llm", "mask2former"),
        own_options=("config",),
        trained=True,
        architecture=frozenset(
            {"vision", "no_target_head", "drop_path_rate", "connector_strides", "query", "d_projector"}
        ),
        adaptable=frozenset({"no_target_head", "drop_path_rate", "image_size"}),
        reference=True,
    )
)
