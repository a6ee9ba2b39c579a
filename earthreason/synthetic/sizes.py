"""Draw the size of an image as varied as in the real set."""

from __future__ import annotations

import numpy as np

_SHORTEST, _LONGEST = 123, 2048
"""Limits of the sides in pixels; the shortest is that of EarthReason, whose longest is 7,617 px."""
_MOST_ASPECT = 3.0
_SIDES = ((128, 724, 0.88), (724, _LONGEST, 0.12))
"""Ranges of the root of the area, drawn evenly by logarithm, and their shares: large scenes take seconds to draw."""
_SQUARE_SHARE = 0.4


def draw_size(rng: np.random.Generator) -> tuple[int, int]:
    """Draw height and width in pixels."""
    low, high, _ = _SIDES[int(rng.choice(len(_SIDES), p=[share for *_, share in _SIDES]))]
    side = np.exp(rng.uniform(np.log(low), np.log(high)))
    aspect = 1.0 if rng.random() < _SQUARE_SHARE else np.exp(rng.uniform(0, np.log(_MOST_ASPECT)))
    long = min(round(side * aspect**0.5), _LONGEST)
    short = max(round(long / aspect), _SHORTEST)
    return (long, short) if rng.random() < 0.5 else (short, long)
