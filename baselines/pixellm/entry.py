"""Register PixelLM."""

from baselines.registry import ModelEntry, register

register(
    ModelEntry(
        name="pixellm",
        summary="a codebook of mask tokens; needs --checkpoint",
        predictor="baselines.pixellm.predictor:PixelLMPredictor.build",
        learner="baselines.pixellm.learner:build",
        converter="baselines.pixellm.conversion:convert",
        assembler="baselines.pixellm.assembly:assemble",
        parts=("llm", "clip"),
        own_options=("clip", "reply"),
        presets={"smoke": {}, "tiny": {"optim": {"learning_rate": 3e-4}}},
        trained=True,
        architecture=frozenset({"no_target_head"}),
        adaptable=frozenset({"no_target_head", "image_size"}),
    )
)
