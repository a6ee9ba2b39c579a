"""Register LISA."""

from baselines.registry import ModelEntry, register

register(
    ModelEntry(
        name="lisa",
        summary="a language model prompts SAM; needs --checkpoint",
        predictor="baselines.lisa.predictor:LisaPredictor.build",
        learner="baselines.lisa.learner:build",
        converter="baselines.lisa.conversion:convert",
        assembler="baselines.lisa.assembly:assemble",
        parts=("llm", "clip", "sam"),
        own_options=("clip", "reply"),
        presets={"smoke": {}, "tiny": {"optim": {"learning_rate": 3e-4}}},
        trained=True,
        architecture=frozenset({"no_target_head"}),
        adaptable=frozenset({"no_target_head"}),
    )
)
