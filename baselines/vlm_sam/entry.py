"""Register the zero-shot model."""

from baselines.registry import ModelEntry, register

register(
    ModelEntry(
        name="vlm_sam",
        summary="a vision-language model points, SAM or SAM 2 draws; needs --vlm",
        predictor="baselines.vlm_sam.predictor:build",
        own_options=("vlm", "base_url", "coordinates", "temperature", "max_tokens"),
    )
)
