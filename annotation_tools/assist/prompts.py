"""Clicks and boxes, as people set them on a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earthreason.errors import DataFormatError

Box = tuple[float, float, float, float]
_POINTS, _BOXES = ("keypoint", "keypointlabels"), ("rectangle", "rectanglelabels")
MOST = 200
"""Largest number of clicks and boxes together; nobody sets more on one target."""


@dataclass(frozen=True)
class Click:
    """A click at a place in pixels, on the target or (not `positive`) on something else."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class Prompts:
    """What a person showed: clicks, and boxes (left, top, right, bottom in pixels) with one target each."""

    clicks: tuple[Click, ...] = ()
    boxes: tuple[Box, ...] = ()

    @property
    def show_a_target(self) -> bool:
        """Whether a box or a click on the target is there; clicks on other things alone mark nothing."""
        return bool(self.boxes) or any(click.positive for click in self.clicks)

    def by_target(self) -> list[Prompts]:
        """Split into one entry per box with the clicks in it, or one entry if there are no boxes.

        With a single box, all clicks belong to it, because people also click beside a box on what is not the target.
        """
        if len(self.boxes) <= 1:
            return [self]
        return [Prompts(tuple(c for c in self.clicks if _is_in(c, box)), (box,)) for box in self.boxes]


def _is_in(click: Click, box: Box) -> bool:
    return box[0] <= click.x <= box[2] and box[1] <= click.y <= box[3]


def prompts_of_results(results: Sequence[Mapping[str, Any]], height: int, width: int) -> Prompts:
    """Read Label Studio's results of key points and rectangles, whose coordinates are percentages.

    A key point is positive unless `is_positive` says otherwise. Other results, such as brush masks, are ignored.

    Args:
        results: what Label Studio sends as `params.context.result`.
        height: height of the picture, pixels.
        width: width of the picture, pixels.

    Raises:
        DataFormatError: there is neither a click nor a box, there are too many, or one has no usable coordinates.
    """
    clicks, boxes = list[Click](), list[Box]()
    for number, result in enumerate(results, start=1):
        place = f"context, result {number}"
        try:
            kind, value = result["type"], result["value"]
            if kind not in _POINTS + _BOXES:
                continue
            if result.get("image_rotation") or value.get("rotation"):
                raise DataFormatError(f"{place}: is rotated; turn it back")
            x, y = _share(value["x"]) * width, _share(value["y"]) * height
            if kind in _POINTS:
                clicks.append(Click(x, y, bool(result.get("is_positive", True))))
            else:
                right = _share(value["x"] + value["width"]) * width
                bottom = _share(value["y"] + value["height"]) * height
                boxes.append((x, y, right, bottom))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, DataFormatError):
                raise
            reason = f"{type(error).__name__}: {error}"
            raise DataFormatError(f"{place}: not a click or a box of Label Studio ({reason})") from None
    if not clicks and not boxes:
        raise DataFormatError("the context has neither a click (KeyPoint) nor a box (Rectangle)")
    if len(clicks) + len(boxes) > MOST:
        raise DataFormatError(f"{len(clicks) + len(boxes)} clicks and boxes; at most {MOST} are used")
    return Prompts(tuple(clicks), tuple(boxes))


def _share(percentage: Any) -> float:
    """Convert percent to a share of the side, from 0 to 1; people draw boxes over the border."""
    share = float(percentage) / 100
    if not math.isfinite(share):
        raise ValueError(f"{percentage} is not a number")
    return min(max(share, 0.0), 1.0)
