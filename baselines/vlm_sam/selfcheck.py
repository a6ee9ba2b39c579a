"""Ask about a test image whose answer is known, to find out how the model gives coordinates."""

from __future__ import annotations

import logging

from PIL import Image, ImageDraw

from earthreason.errors import EarthReasonError
from earthreason.grounding.answers import place, read_answer
from earthreason.grounding.profiles import PROFILES, Profile

from .grounding import Located, Locator

logger = logging.getLogger("earthreason.baselines")
SIZE = (560, 420)
"""Width and height of the test image in pixels: multiples of 28, so that it is sent as it is."""
BOX = (70, 245, 210, 385)
"""Left, top, right and bottom of its red rectangle in pixels; no two profiles read the same numbers as this place."""
QUESTION = "Where is the red rectangle?"
_FITS = 0.5
"""IoU with the rectangle from which a profile fits."""


def draw_test_image() -> Image.Image:
    """Draw the test image."""
    image = Image.new("RGB", SIZE, (96, 120, 84))
    ImageDraw.Draw(image).rectangle((BOX[0], BOX[1], BOX[2] - 1, BOX[3] - 1), fill=(220, 30, 30))
    return image


def check_profile(locator: Locator) -> None:
    """Ask where the red rectangle of the test image is.

    Raises:
        EarthReasonError: the answer fits another profile than the locator's, or the server refuses the request.
    """
    (located,) = locator.locate([draw_test_image()], [QUESTION])
    written = _last_text(located)
    fitting = [profile for profile in PROFILES.values() if fits(written, profile)]
    chosen = locator.profile
    if chosen in fitting:
        logger.info("%s: found the test image's rectangle; its coordinates are %s", locator.model, chosen.name)
    elif fitting:
        raise EarthReasonError(
            f"{locator.model} does not give coordinates as {chosen.name}: its answer about the test image fits "
            f"{fitting[0].name}; give --coordinates {fitting[0].name}"
        )
    else:
        told = "%s did not find the test image's red rectangle under any profile, so %s is not confirmed; it wrote %r"
        logger.warning(told, locator.model, chosen.name, written[:120])


def fits(text: str, profile: Profile) -> bool:
    """Return whether an answer about the test image, read by a profile, is its rectangle."""
    try:
        targets = place(read_answer(text, profile.y_first), profile, *SIZE)
    except ValueError:
        return False
    return len(targets) == 1 and targets[0].box is not None and _iou(targets[0].box) >= _FITS


def _iou(box: list[float]) -> float:
    width, height = SIZE
    left, top, right, bottom = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    shared = max(0.0, min(right, BOX[2]) - max(left, BOX[0])) * max(0.0, min(bottom, BOX[3]) - max(top, BOX[1]))
    area = (right - left) * (bottom - top) + (BOX[2] - BOX[0]) * (BOX[3] - BOX[1])
    return shared / (area - shared)


def _last_text(located: Located) -> str:
    choices = located.transcript["replies"][-1]["choices"] if located.transcript["replies"] else None
    return (choices[0]["message"].get("content") or "") if choices else ""
