"""Register PixelLM."""

from ..registry import ModelEntry, register

register(
    ModelEntry(
        name="pixellm",
        summary="a codebook of mask tokens; needs --checkpoint",
        predictor=f"{__package__}.predictor:PixelLMPredictor.build",
        learner=f"{__package__}.learner:build",
        converter=f"{__package__}.conversion:convert",
        assembler=f"{__package__}.assembly:assemble",
        parts=("llm", "clip"),
        own_options=("clip", "reply"),
        presets={"smoke": {}, "tiny": {"optim": {"learning_rate": 3e-4}}},
        trained=True,
        architecture=frozenset({"no_target_head"}),
        adaptable=frozenset({"no_target_head", "image_size"}),
    )
)
