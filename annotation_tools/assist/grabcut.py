"""GrabCut (Rother et al., SIGGRAPH 2004; OpenCV): masks from a box, clicks, or what stands out. It needs no weights."""

from __future__ import annotations

import numpy as np
from PIL import Image

from earthreason.masks.grids import nearest_indices
from earthreason.predictors import Saliency

from .prompts import Box, Click, Prompts

_SIDE = 512
"""Longest side in pixels of the copy that GrabCut works on, because its time grows with their number."""
_ROUNDS = 4
_MARGIN = 0.5
"""Share of the longer side of a box that is looked at around it, to learn the colours of the background."""
_TOLERANCE = 8
"""Largest difference of a pixel's CIELAB values (of 255) to those under the click that may still be the target."""


class GrabCut:
    """GrabCut started from a box, from clicks, or, without either, from salient superpixels."""

    def __init__(self) -> None:
        self._start = Saliency()

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        return [
            None if mask is None else _refine(image, mask)
            for image, mask in zip(images, self._start.predict(images, questions), strict=True)
        ]

    def segment_shown(self, image: Image.Image, prompts: Prompts) -> np.ndarray | None:
        """Mark what a person showed; return a (height, width) bool mask, or None if nothing is found."""
        if not prompts.show_a_target:
            return None
        pixels = np.asarray(image.convert("RGB"))
        mask = np.zeros(pixels.shape[:2], bool)
        for one in prompts.by_target():
            mask |= _of_box(pixels, one.boxes[0], one.clicks) if one.boxes else _of_clicks(pixels, one.clicks)
        return mask if mask.any() else None


def _refine(image: Image.Image, mask: np.ndarray) -> np.ndarray | None:
    import cv2

    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    seed = _resized(mask, small.height, small.width)
    if not seed.any() or seed.all():
        return mask
    labels = np.where(seed, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8, order="C")
    marked = _run(np.asarray(small), labels)
    return _resized(marked, *mask.shape) if marked.any() else None


def _run(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Run GrabCut on (height, width, 3) RGB pixels from its labels of the same size; both kinds must be there."""
    import cv2

    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    colours = pixels[..., ::-1].copy()  # OpenCV expects BGR
    cv2.setRNGSeed(0)
    cv2.grabCut(colours, labels, (0, 0, 0, 0), background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def _of_box(pixels: np.ndarray, box: Box, clicks: tuple[Click, ...]) -> np.ndarray:
    import cv2

    margin = _MARGIN * max(box[2] - box[0], box[3] - box[1]) + 8
    window = _Window(pixels, (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin))
    labels = np.full(window.small.shape[:2], cv2.GC_BGD, np.uint8)
    left, top = (int(value) for value in window.inside(box[0], box[1]))
    right, bottom = (int(np.ceil(value)) for value in window.inside(box[2], box[3]))
    labels[top : max(bottom, top + 1), left : max(right, left + 1)] = cv2.GC_PR_FGD
    if not (labels == cv2.GC_BGD).any():  # a box around the whole picture: its border has the background's colours
        labels[[0, -1]] = labels[:, [0, -1]] = cv2.GC_PR_BGD
    _stamp(labels, window, clicks)
    return window.whole(_run(window.small, labels)) if _has_both(labels) else window.whole(_marked(labels))


def _of_clicks(pixels: np.ndarray, clicks: tuple[Click, ...]) -> np.ndarray:
    """Grow from the clicks in a window around them; widen it as long as the mask reaches its border."""
    xs, ys = [click.x for click in clicks], [click.y for click in clicks]
    reach = _SIDE / 2
    while True:
        window = _Window(pixels, (min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach))
        found = _grown(window, clicks)
        if window.is_all or not window.is_cut_off(found):
            return window.whole(found)
        reach *= 2


def _grown(window: _Window, clicks: tuple[Click, ...]) -> np.ndarray:
    import cv2
    from skimage.measure import label

    smooth = cv2.GaussianBlur(cv2.cvtColor(window.small, cv2.COLOR_RGB2LAB), (0, 0), 1.5)
    labels = np.full(smooth.shape[:2], cv2.GC_PR_BGD, np.uint8)
    places = [(window.pixel(click), click.positive) for click in clicks]
    for wanted, value in ((True, cv2.GC_PR_FGD), (False, cv2.GC_PR_BGD)):
        for place, positive in places:
            if positive == wanted:
                labels[_similar(smooth, place)] = value
    _stamp(labels, window, clicks)
    marked = _run(window.small, labels) if _has_both(labels) else _marked(labels)
    parts = label(marked, connectivity=1)
    kept = {int(parts[y, x]) for (x, y), positive in places if positive} - {0}
    return np.asarray(np.isin(parts, list(kept)))


def _similar(smooth: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Mark the pixels connected to a place whose colour differs little from the colour there."""
    import cv2

    height, width = smooth.shape[:2]
    filled = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | 1 << 8
    cv2.floodFill(smooth, filled, place, 0, (_TOLERANCE,) * 3, (_TOLERANCE,) * 3, flags)
    return filled[1:-1, 1:-1] == 1


def _stamp(labels: np.ndarray, window: _Window, clicks: tuple[Click, ...]) -> None:
    """Label the pixels around each click as certain."""
    import cv2

    radius = max(1, round(min(labels.shape) / 150))
    for click in clicks:
        kind = cv2.GC_FGD if click.positive else cv2.GC_BGD
        cv2.circle(labels, window.pixel(click), radius, kind, -1)


def _marked(labels: np.ndarray) -> np.ndarray:
    return labels % 2 == 1  # GC_FGD is 1, GC_PR_FGD 3


def _has_both(labels: np.ndarray) -> bool:
    marked = _marked(labels)
    return bool(marked.any() and not marked.all())


class _Window:
    """A part of a picture, reduced to at most `_SIDE` pixels a side."""

    def __init__(self, pixels: np.ndarray, box: Box) -> None:
        import cv2

        self._shape = pixels.shape[:2]
        height, width = self._shape
        self._left, self._top = int(min(max(box[0], 0), width - 1)), int(min(max(box[1], 0), height - 1))
        self._right = max(self._left + 1, int(min(np.ceil(box[2]), width)))
        self._bottom = max(self._top + 1, int(min(np.ceil(box[3]), height)))
        part = pixels[self._top : self._bottom, self._left : self._right]
        self._scale = min(1.0, _SIDE / max(part.shape[:2]))
        size = [max(1, round(side * self._scale)) for side in (part.shape[1], part.shape[0])]
        self.small = np.ascontiguousarray(
            part if self._scale == 1 else cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        )

    @property
    def is_all(self) -> bool:
        """Whether the window is the whole picture."""
        return (self._top, self._left, self._bottom, self._right) == (0, 0, *self._shape)

    def inside(self, x: float, y: float) -> tuple[float, float]:
        """Convert a place in the picture to one in the reduced window."""
        return (x - self._left) * self._scale, (y - self._top) * self._scale

    def pixel(self, click: Click) -> tuple[int, int]:
        """Return column and row of a click in the reduced window."""
        x, y = self.inside(click.x, click.y)
        return min(max(int(x), 0), self.small.shape[1] - 1), min(max(int(y), 0), self.small.shape[0] - 1)

    def is_cut_off(self, found: np.ndarray) -> bool:
        """Tell whether a mask of the window reaches a border of it that is not one of the picture."""
        height, width = self._shape
        return bool(
            (self._top > 0 and found[0].any())
            or (self._bottom < height and found[-1].any())
            or (self._left > 0 and found[:, 0].any())
            or (self._right < width and found[:, -1].any())
        )

    def whole(self, found: np.ndarray) -> np.ndarray:
        """Place a mask of the reduced window on the picture; return (height, width) bool."""
        mask = np.zeros(self._shape, bool)
        part = _resized(found, self._bottom - self._top, self._right - self._left)
        mask[self._top : self._bottom, self._left : self._right] = part
        return mask


def _resized(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = nearest_indices(mask.shape[0], height), nearest_indices(mask.shape[1], width)
    return np.asarray(mask[rows][:, columns])
