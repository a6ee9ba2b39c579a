"""Which families of models give coordinates in which way."""

from __future__ import annotations

import re

from earthreason.errors import EarthReasonError
from earthreason.grounding.profiles import PROFILES, Profile, get_profile

FAMILIES = {
    "qwen25vl": "pixels",
    "qwen2vl": "thousand",
    "qwen3vl": "thousand",
    "gemini": "thousand-yx",
    "internvl": "internvl",
    "gpt4o": "thousand",
    "gpt41": "thousand",
    "gpt5": "thousand",
}
"""Names of profiles by what the name of a model contains, in small letters and digits only.

The first five families were trained to give coordinates so. GPT models have no form of their own and follow the prompt.
"""


def choose_profile(model: str, coordinates: str | None = None) -> Profile:
    """Return the profile of a model.

    Args:
        model: name of the model on the server.
        coordinates: name of a profile; None takes the one of the model's family.

    Raises:
        UnknownNameError: there is no profile of that name.
        EarthReasonError: the name of the model tells no family.
    """
    if coordinates is not None:
        return get_profile(coordinates)
    plain = re.sub("[^a-z0-9]", "", model.lower())
    name = next((name for family, name in FAMILIES.items() if family in plain), None)
    if name is None:
        raise EarthReasonError(
            f"--vlm {model}: its name does not say how it gives coordinates; give --coordinates, one of "
            f"{', '.join(PROFILES)} (a test image tells if it is wrong)"
        )
    return PROFILES[name]
