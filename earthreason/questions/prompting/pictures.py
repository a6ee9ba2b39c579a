"""Pictures that are sent of a sample: the whole image and, if its target is small, a crop, both plain and tinted.

The rules of this module are in pixels as shown, that is of the whole image when its longer side is at most `SIDE`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from earthreason.data.pictures import mask_of
from earthreason.data.schema import Record
from earthreason.overlay import PREDICTION_COLOUR, draw_overlay, shrink_mask

SIDE, CROP_SIDE = 1024, 768
"""Longest side of the whole image and of a crop when they are sent, pixels."""
WHOLE, CROP = ("image", "overlay"), ("crop", "crop overlay")
"""Kinds of pictures: plain and tinted."""
SMALL, SCATTERED = 128, 64
"""A target is also shown in a crop if it, or the largest of its regions, is shorter than this, pixels as shown."""
_TIMES, _FEWEST = 4, 16
"""Side of a crop: how many times the target's longer side, and the smallest one in pixels of the image."""
_SPECK, _RING = 12, 14
"""Regions shorter than the first get a ring of the second as its radius, pixels as shown."""
_LINE = 2
_COUNTED = 0.01
"""Regions smaller than this share of the largest one are taken for traces of the drawing."""
_DESCRIPTIONS = {
    "image": "the whole image",
    "overlay": "the whole image with the target tinted and outlined in orange; parts too small to see are ringed",
    "crop": "the surroundings of the target, enlarged",
    "part": "the surroundings of one of the target's regions, enlarged",
    "crop overlay": "the enlarged surroundings with the target tinted and outlined in orange",
}

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom lie outside."""


@dataclass(frozen=True)
class TargetView:
    """How a target is shown.

    Attributes:
        regions: number of its separate regions.
        crop: part of the image that is shown enlarged; None if the target is large enough in the whole image.
        is_part: whether the crop shows only the largest of its regions.
    """

    regions: int = 0
    crop: Box | None = None
    is_part: bool = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the pictures that are sent about the target."""
        return (*WHOLE, *CROP) if self.crop else WHOLE


def view_target(mask: np.ndarray) -> TargetView:
    """Count the regions of a mask, (height, width) bool, and choose whether and where its target is enlarged."""
    boxes = _regions(mask)
    if not boxes:
        return TargetView()
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    whole = min(lefts), min(tops), max(rights), max(bottoms)
    scale = min(1.0, SIDE / max(mask.shape))
    if _longer(whole) * scale < SMALL:
        return TargetView(len(boxes), _around(whole, mask.shape))
    if _longer(boxes[0]) * scale < SCATTERED:
        return TargetView(len(boxes), _around(boxes[0], mask.shape), is_part=True)
    return TargetView(len(boxes))


def view_record(record: Record) -> TargetView:
    """Choose how the target of a sample is shown.

    Raises:
        DataFormatError: its mask is unreadable or hidden.
    """
    return view_target(mask_of(record.mask, Path(record.sample_id)))


def describe_pictures(kinds: Sequence[str], view: TargetView) -> str:
    """Say in a prompt what each of the pictures shows."""
    if not kinds:
        return "No picture is shown; all that is known of the image is in the hints."
    names = ["part" if kind == "crop" and view.is_part else kind for kind in kinds]
    return "\n".join(f"Picture {number}: {_DESCRIPTIONS[name]}." for number, name in enumerate(names, start=1))


def size_sent(kind: str, height: int, width: int) -> tuple[int, int]:
    """Return the largest height and width, pixels, in which a picture of that kind of an image is sent."""
    if kind in CROP:
        return CROP_SIDE, CROP_SIDE
    scale = min(1.0, SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def picture_urls(record: Record, kinds: Sequence[str], view: TargetView | None = None) -> list[str]:
    """Encode pictures of a sample as data URLs of JPEGs.

    Args:
        record: sample.
        kinds: kinds of the pictures.
        view: how the target is shown; None finds it out.
    """
    if not kinds:
        return []
    with Image.open(io.BytesIO(record.image)) as opened:
        image = opened.convert("RGB")
    if tuple(kinds) == ("image",):
        return [_data_url(draw_overlay(image, None, PREDICTION_COLOUR, side=SIDE))]
    mask = mask_of(record.mask, Path(record.sample_id))
    view = view_target(mask) if view is None else view
    return [_data_url(_draw(kind, image, mask, view)) for kind in kinds]


def _draw(kind: str, image: Image.Image, mask: np.ndarray, view: TargetView) -> Image.Image:
    shown, side = mask if kind in ("overlay", "crop overlay") else None, SIDE
    if kind in CROP:
        assert view.crop is not None
        image, shown, side = *_enlarge(image, mask, view.crop), CROP_SIDE
        shown = shown if kind == "crop overlay" else None
    drawn = draw_overlay(image, shown, PREDICTION_COLOUR, side=side, line=_LINE)
    return drawn if shown is None else _ring_specks(drawn, shrink_mask(shown, drawn.size))


def _enlarge(image: Image.Image, mask: np.ndarray, box: Box) -> tuple[Image.Image, np.ndarray]:
    left, top, right, bottom = box
    scale = CROP_SIDE / max(right - left, bottom - top)
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    part = mask[top:bottom, left:right]
    if scale > 1:
        part = cv2.resize(part.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    else:
        part = shrink_mask(part, size)
    return image.crop(box).resize(size, Image.Resampling.LANCZOS), part


def _ring_specks(drawn: Image.Image, region: np.ndarray) -> Image.Image:
    """Draw rings around regions that are too small to see."""
    specks = [box for box in _regions(region, 0.0) if _longer(box) < _SPECK]
    if not specks:
        return drawn
    pixels = np.array(drawn)
    for left, top, right, bottom in specks:
        cv2.circle(pixels, ((left + right) // 2, (top + bottom) // 2), _RING, PREDICTION_COLOUR, _LINE)
    return Image.fromarray(pixels)


def _regions(mask: np.ndarray, least: float = _COUNTED) -> list[Box]:
    """Return the boxes of the connected regions of a mask, the largest first, without traces."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    part = np.ascontiguousarray(mask[top : rows[-1] + 1, left : columns[-1] + 1]).view(np.uint8)
    _, _, found, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
    regions = sorted(found[1:].tolist(), key=lambda region: -region[cv2.CC_STAT_AREA])
    large = [region for region in regions if region[cv2.CC_STAT_AREA] >= least * regions[0][cv2.CC_STAT_AREA]]
    return [(left + x, top + y, left + x + width, top + y + height) for x, y, width, height, _ in large]


def _longer(box: Box) -> int:
    left, top, right, bottom = box
    return max(right - left, bottom - top)


def _around(box: Box, shape: tuple[int, ...]) -> Box:
    """Return a square around a box, moved and cut so that it lies within the image."""
    side = max(_TIMES * _longer(box), _FEWEST)
    (left, right), (top, bottom) = (
        _span((low + high) // 2, min(side, length), length)
        for low, high, length in ((box[0], box[2], shape[1]), (box[1], box[3], shape[0]))
    )
    return left, top, right, bottom


def _span(centre: int, length: int, whole: int) -> tuple[int, int]:
    start = min(max(centre - length // 2, 0), whole - length)
    return start, start + length


def _data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
