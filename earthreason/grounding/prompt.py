"""The prompt that asks a vision-language model for boxes and points."""

from __future__ import annotations

from earthreason.grounding.profiles import Profile

PROMPT_VERSION = 2
"""Version of the wording below; change it with the wording."""


def write_prompt(question: str, profile: Profile, width: int, height: int) -> str:
    """Write the prompt for an image that is sent with this width and height, pixels."""
    point, box = (
        ("[y, x]", "[top, left, bottom, right]") if profile.y_first else ("[x, y]", "[left, top, right, bottom]")
    )
    if profile.tagged:
        form = f"<box>[{box}, ...]</box>, with the tight box of each separate region that belongs to the answer"
        nothing = "answer []"
    else:
        form = (
            f'JSON alone: {{"targets": [{{"box": {box}, "points": [{point}, ...]}}, ...]}}. Each separate region that '
            "belongs to the answer is one target, with its tight box and one to three points that lie on it"
        )
        nothing = "the list of targets is empty"
    unit = profile.unit.format(width=width, height=height)
    return (
        "You see an image taken from above. A question about it follows; find what answers it.\n\n"
        f"Question: {question}\n\n"
        f"Answer with {form}. If nothing in the image answers the question, {nothing}. Coordinates are {unit}; x goes "
        "to the right and y downwards."
    )
