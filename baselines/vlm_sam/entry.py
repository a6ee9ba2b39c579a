"""Register the zero-shot model."""

from ..registry import ModelEntry, register

register(
    ModelEntry(
        name="vlm_sam",
        summary="a vision-language model points, SAM or SAM 2 draws; needs --vlm",
        predictor=f"{__package__}.predictor:build",
        own_options=("vlm", "base_url", "coordinates", "temperature", "max_tokens"),
    )
)
