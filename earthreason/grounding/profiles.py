"""How families of vision-language models give coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass

from earthreason.errors import UnknownNameError

FACTOR, LEAST_PIXELS, MOST_PIXELS = 28, 56 * 56, 28 * 28 * 1280
"""Sides are multiples of FACTOR, and areas between the other two, of what Qwen2.5-VL sees.

MOST_PIXELS is the default of transformers. A server with a higher limit does not resize such images either.
"""


@dataclass(frozen=True)
class Profile:
    """A way to give coordinates.

    Attributes:
        name: name on the command line.
        unit: unit in words, for the prompt.
        scale: coordinate of the right and bottom side; None if that is the width and height of the image in pixels.
        y_first: whether y comes before x.
        tagged: whether boxes are given as <box>[[...]]</box> instead of JSON.
    """

    name: str
    unit: str
    scale: float | None
    y_first: bool = False
    tagged: bool = False

    def sent_size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the image to send, pixels.

        Where coordinates are pixels, it is the size to which the server would resize, so that its pixels are ours.
        """
        return (width, height) if self.scale is not None else fit_patches(width, height)


_PER_MILLE = "whole numbers from 0 to 1000, relative to the width and height of the image"
PROFILES = {
    profile.name: profile
    for profile in (
        Profile("pixels", "whole pixels of this image, which is {width} wide and {height} high", None),
        Profile("thousand", _PER_MILLE, 1000),
        Profile("thousand-yx", _PER_MILLE, 1000, y_first=True),
        Profile("fraction", "fractions from 0 to 1 of the width and height of the image", 1),
        Profile("internvl", _PER_MILLE, 1000, tagged=True),
    )
}
"""All profiles by name."""


def get_profile(coordinates: str) -> Profile:
    """Look up a profile by its name.

    Raises:
        UnknownNameError: there is no profile of that name.
    """
    if coordinates not in PROFILES:
        raise UnknownNameError("coordinates", coordinates, PROFILES)
    return PROFILES[coordinates]


def fit_patches(width: int, height: int) -> tuple[int, int]:
    """Return width and height, pixels, to which Qwen2-VL and Qwen2.5-VL resize an image.

    Source: `smart_resize` of transformers' Qwen2VLImageProcessor.
    """
    fitted = [round(side / FACTOR) * FACTOR for side in (width, height)]
    if math.prod(fitted) > MOST_PIXELS:
        shrink = math.sqrt(width * height / MOST_PIXELS)
        fitted = [max(FACTOR, math.floor(side / shrink / FACTOR) * FACTOR) for side in (width, height)]
    elif math.prod(fitted) < LEAST_PIXELS:
        grow = math.sqrt(LEAST_PIXELS / (width * height))
        fitted = [math.ceil(side * grow / FACTOR) * FACTOR for side in (width, height)]
    return fitted[0], fitted[1]
