"""Ground resolutions (GSD) at which a model sees the ground: stored in its configuration, computed from its data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from earthreason.errors import EarthReasonError

GroundResolution = tuple[float, float]
"""Finest and coarsest GSD of a model's canvas, metres per pixel."""
ENDS = (5.0, 95.0)
"""Percentiles of the training data that bound the range; a few odd images do not widen it."""


def known_range(value: Any, name: str = "ground_resolution") -> GroundResolution | None:
    """Return a range as a configuration states it.

    Args:
        value: two numbers, finest first, or None for unknown.
        name: what states it, for the message.

    Raises:
        EarthReasonError: these are not two positive numbers in order.
    """
    if value is None:
        return None
    remedy = "give the finest and the coarsest GSD in metres per pixel, such as 0.3,1.2"
    try:
        finest, coarsest = (float(each) for each in value)
    except (TypeError, ValueError):
        raise EarthReasonError(f"{name} {value!r}: not two numbers; {remedy}") from None
    if not 0 < finest <= coarsest < math.inf:
        raise EarthReasonError(f"{name} {finest:g},{coarsest:g}: not a range; {remedy}")
    return finest, coarsest


def parse_range(text: str) -> GroundResolution | None:
    """Read a range from the command line, `LOW,HIGH`.

    Raises:
        EarthReasonError: these are not two positive numbers in order.
    """
    return known_range(text.split(","), "--gsd")


def describe_range(value: GroundResolution) -> str:
    """Write a range for people."""
    finest, coarsest = value
    return f"{finest:g} m per pixel" if finest == coarsest else f"{finest:g} to {coarsest:g} m per pixel"


def canvas_resolution(gsd: float, height: int, width: int, side: int) -> float:
    """Return the GSD of the canvas, metres per pixel, on which the longer side of an image becomes `side` pixels."""
    return gsd * max(height, width) / side


def range_of(
    resolutions: Sequence[float | None], heights: Sequence[int], widths: Sequence[int], side: int
) -> GroundResolution | None:
    """Return the range of GSDs on the canvas, from the 5th to the 95th percentile of the images that state theirs.

    Args:
        resolutions: GSD of each image, metres per pixel; None where it is unknown.
        heights: heights of the images, pixels.
        widths: widths of the images, pixels.
        side: side of the canvas, pixels.

    Returns:
        The range, or None if no image states its GSD.
    """
    facts = zip(resolutions, heights, widths, strict=True)
    seen = [canvas_resolution(gsd, height, width, side) for gsd, height, width in facts if gsd]
    if not seen:
        return None
    finest, coarsest = (float(f"{each:.3g}") for each in np.percentile(seen, ENDS))
    return finest, coarsest
