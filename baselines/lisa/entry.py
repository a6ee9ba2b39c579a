"""Register LISA."""

from ..registry import ModelEntry, register

register(
    ModelEntry(
        name="lisa",
        summary="a language model prompts SAM; needs --checkpoint",
        predictor=f"{__package__}.predictor:LisaPredictor.build",
        learner=f"{__package__}.learner:build",
        converter=f"{__package__}.conversion:convert",
        assembler=f"{__package__}.assembly:assemble",
        parts=("llm", "clip", "sam"),
        own_options=("clip", "reply"),
        presets={"smoke": {}, "tiny": {"optim": {"learning_rate": 3e-4}}},
        trained=True,
        architecture=frozenset({"no_target_head"}),
        adaptable=frozenset({"no_target_head"}),
    )
)
