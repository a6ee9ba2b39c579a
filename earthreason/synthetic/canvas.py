"""The drawing surface: shapes, textures, shadows, and a record of which object is visible at each pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, label

from earthreason.synthetic.categories import FEATURES, Footprint
from earthreason.synthetic.colours import Colour
from earthreason.synthetic.geometry import dilate, free_centre, has_gaps
from earthreason.synthetic.scene import SceneObject
from earthreason.synthetic.shapes import NOWHERE, Plot, Points, Region, Spot, overlap

_T = TypeVar("_T")
Mask = np.ndarray  # (height, width) bool
_LARGE, _SPARSE = 4000, 0.15
"""Pixels of a window, and share of them to be painted, from and up to which these are painted one by one."""
MIN_VISIBLE = 24
"""Smallest number of visible pixels of an object of `FEATURES`; a smaller one could not be recognized."""


class Canvas:
    """A scene being drawn.

    Attributes:
        rng: source of all randomness.
        height: height in pixels.
        width: width in pixels.
        gsd: metres per pixel.
        image: (height, width, 3) float32, 0 to 1.
        owner: (height, width) int16, number of the object visible at each pixel, -1 for none.
        reserved: (height, width) bool, pixels that later objects must not cover.
        grain: (height, width) float32, noise that gives surfaces their grain.
        kinds: kind of each object, indexed by its number.
        side: the shorter side in pixels.
        sun: direction (x, y) in which shadows fall, of unit length.
        shadow_length: pixels of shadow per metre of height.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int, gsd: float) -> None:
        self.rng, self.height, self.width, self.gsd = rng, height, width, gsd
        # One plane per colour: numpy is several times slower where the innermost axis has 3 elements.
        self.image = np.zeros((3, height, width), np.float32).transpose(1, 2, 0)
        self.owner = np.full((height, width), -1, np.int16)
        self.reserved = np.zeros((height, width), bool)
        self.grain = rng.standard_normal((height, width), np.float32)
        self.kinds: list[str] = []
        self.side = min(height, width)
        # Shapes are drawn into one array, because a new image for each of the hundreds in a scene would take longer.
        self._sketch = np.zeros((height, width), np.uint8)
        sheet = Image.frombuffer("L", (width, height), self._sketch, "raw", "L", 0, 1)
        sheet.readonly = 0  # Pillow draws into the array itself, not into a copy
        self._pencil = ImageDraw.Draw(sheet)
        angle = rng.uniform(0, 2 * np.pi)
        self.sun = (float(np.cos(angle)), float(np.sin(angle)))
        self.shadow_length = float(rng.uniform(0.5, 1.1)) / gsd

    def px(self, metres: float) -> float:
        """Convert metres to pixels."""
        return metres / self.gsd

    def pick(self, options: Sequence[_T]) -> _T:
        """Return one of the options at random."""
        return options[int(self.rng.integers(len(options)))]

    def jitter(self, colour: Colour, amount: float = 0.04) -> Colour:
        """Return the colour with a slightly different lightness and hue."""
        light = self.rng.normal(0, amount)
        r, g, b = (min(max(v + light + self.rng.normal(0, amount / 3), 0.0), 1.0) for v in colour)
        return (r, g, b)

    def noise(self, scale: float, octaves: int = 3, shape: tuple[int, int] | None = None) -> np.ndarray:
        """Return smooth noise from 0 to 1, float32, whose largest blobs are `scale` pixels wide.

        Its shape is `shape`, or that of the canvas, (height, width).
        """
        height, width = shape or (self.height, self.width)
        field = np.zeros((1, 1), np.float32)
        for octave in range(octaves):
            rows, columns = (max(2, math.ceil(n / scale) + 3) for n in (height, width))
            # Coarse octaves are enlarged together, so that only the last step works on every pixel.
            field = _resize(field, columns, rows) + 0.5**octave * self.rng.standard_normal((rows, columns), np.float32)
            scale = max(scale / 2, 1.5)
        left, top = self.rng.uniform(0, 1, 2) * (0.05 * columns, 0.05 * rows)
        box = (float(left), float(top), float(left) + 0.94 * columns, float(top) + 0.94 * rows)
        field /= np.float32(2.6 * math.sqrt(sum(0.25**octave for octave in range(octaves))))
        field += np.float32(0.5)
        return np.clip(_resize(field, width, height, box), 0, 1)

    def paint(
        self, points: Points, colour: Colour, grain: float = 0.02, opacity: float = 1.0, avoid: Mask | None = None
    ) -> None:
        """Paint a polygon in one colour with fine grain, except the pixels of `avoid`."""
        region = self.region(points)
        self.fill(region if avoid is None else self.without(region, avoid), colour, grain, opacity)

    def region(self, points: Points) -> Region:
        """Return the pixels inside a polygon."""
        return self._draw(points, lambda draw, local: draw.polygon(local, fill=1), 1)

    def regions(self, outlines: Sequence[Points]) -> Region:
        """Return the pixels inside any of several polygons; for many, this is faster than one at a time."""
        ends = np.cumsum([len(outline) for outline in outlines]).tolist()

        def paint(draw: ImageDraw.ImageDraw, local: list[tuple[float, float]]) -> None:
            for start, stop in pairwise([0, *ends]):
                draw.polygon(local[start:stop], fill=1)

        return self._draw(np.concatenate(outlines), paint, 1) if ends else NOWHERE

    def discs(self, centres: Points, widths: np.ndarray) -> Region:
        """Return the pixels of discs with these centres, (n, 2), and diameters in pixels, (n,)."""
        halves = (widths / 2).tolist()

        def paint(draw: ImageDraw.ImageDraw, local: list[tuple[float, float]]) -> None:
            for (x, y), r in zip(local, halves, strict=True):
                draw.ellipse((x - r, y - r, x + r, y + r), fill=1)

        return self._draw(centres, paint, max(halves) + 1)

    def stroke(self, points: Points, width: float) -> Region:
        """Return the pixels within `width` / 2 of a polyline."""
        return self.strokes([points], width)

    def strokes(self, lines: Sequence[Points], width: float) -> Region:
        """Return the pixels within `width` / 2 of any of several polylines."""
        if not len(lines):
            return NOWHERE
        thick = max(1, round(width))
        ends = np.cumsum([len(points) for points in lines]).tolist()

        def paint(draw: ImageDraw.ImageDraw, local: list[tuple[float, float]]) -> None:
            for (start, stop), path in zip(pairwise([0, *ends]), lines, strict=True):
                draw.line(local[start:stop], fill=1, width=thick, joint="curve" if has_gaps(path, thick) else None)

        return self._draw(np.concatenate(lines), paint, thick)

    def _draw(self, points: Points, paint: Callable[[ImageDraw.ImageDraw, Any], None], margin: float) -> Region:
        xs, ys = points.T.tolist()
        left, top = max(0, math.floor(min(xs) - margin)), max(0, math.floor(min(ys) - margin))
        right = min(self.width, math.ceil(max(xs) + margin) + 1)
        bottom = min(self.height, math.ceil(max(ys) + margin) + 1)
        if right <= left or bottom <= top:
            return NOWHERE
        paint(self._pencil, list(zip(xs, ys, strict=True)))
        window = self._sketch[top:bottom, left:right]
        drawn = window.view(bool).copy()
        window.fill(0)
        return Region(slice(top, bottom), slice(left, right), drawn)

    def mask_of(self, *regions: Region) -> Mask:
        """Return the union of regions as a (height, width) bool mask."""
        union = np.zeros((self.height, self.width), bool)
        for region in regions:
            union[region.rows, region.columns] |= region.mask
        return union

    def crop(self, mask: Mask) -> Region:
        """Convert a (height, width) bool mask to a region that spans its bounding box."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            return NOWHERE
        ys, xs = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        return Region(ys, xs, mask[ys, xs])

    def without(self, region: Region, blocked: Mask) -> Region:
        """Return a region without the pixels of a (height, width) bool mask."""
        return replace(region, mask=region.mask & ~blocked[region.rows, region.columns])

    def fill(self, region: Region, colour: Colour, grain: float = 0.02, opacity: float = 1.0) -> None:
        """Paint a region in one colour with fine grain."""
        window, mask = self.image[region.rows, region.columns], region.mask
        # A long slanting line covers little of its window.
        sparse = mask.size > _LARGE and np.count_nonzero(mask) < _SPARSE * mask.size
        where: Any = mask.nonzero() if sparse else ...
        paint: np.ndarray = np.array(colour, np.float32)
        if grain:
            paint = self.grain[region.rows, region.columns][where][..., None] * np.float32(grain) + paint
        if opacity < 1:
            paint = window[where] * np.float32(1 - opacity) + paint * np.float32(opacity)
        if sparse:
            window[where] = paint
        else:
            np.copyto(window, paint, where=mask[..., None])

    def tint(self, region: Region, factors: Sequence[float]) -> None:
        """Multiply the red, green and blue of a region by 3 factors."""
        window = self.image[region.rows, region.columns]
        np.multiply(window, np.array(factors, np.float32), out=window, where=region.mask[..., None])

    def line(
        self, points: Points, width: float, colour: Colour, opacity: float = 1.0, inside: Region | None = None
    ) -> None:
        """Draw a polyline; if its width is below a pixel, it is fainter instead."""
        self.lines([points], width, colour, opacity, inside)

    def lines(
        self,
        paths: Sequence[Points],
        width: float,
        colour: Colour,
        opacity: float = 1.0,
        inside: Region | None = None,
    ) -> None:
        """Draw several polylines in one colour as `line` draws one; where they overlap, they are no stronger."""
        faded = min(1.0, max(width, 0.0)) * opacity
        if faded < 0.08:
            return
        region = self.strokes(paths, width)
        self.fill(region if inside is None else overlap(region, inside), colour, 0.0, faded)

    def shade(self, points: Points, metres: float, darkness: float = 0.5) -> None:
        """Darken the ground where an object with this outline and a height in metres casts its shadow."""
        reach = min(metres * self.shadow_length, 0.2 * self.side)
        if reach < 0.7:
            return
        steps = max(2, min(8, int(reach)))
        offsets = [(reach * k / (steps - 1) * self.sun[0], reach * k / (steps - 1) * self.sun[1]) for k in range(steps)]

        def paint(draw: ImageDraw.ImageDraw, local: list[tuple[float, float]]) -> None:
            for dx, dy in offsets:
                draw.polygon([(x + dx, y + dy) for x, y in local], fill=1)

        region = self._draw(points, paint, reach)
        self.tint(region, (darkness, darkness * 1.02, darkness * 1.1))

    def claim(self, kind: str, region: Region) -> bool:
        """Record a region as an object of a kind; return False if it is in `FEATURES` and too small or not free."""
        if kind in FEATURES and self.is_blocked(region):
            return False
        region = replace(region, mask=region.mask & ~self.taken(region))
        if kind in FEATURES and region.area < MIN_VISIBLE:
            return False
        if region.area:
            if kind in FEATURES or kind not in self.kinds:
                self.kinds.append(kind)
            # All roads together are one object, as are all houses and other context.
            number = len(self.kinds) - 1 if kind in FEATURES else self.kinds.index(kind)
            self.owner[region.rows, region.columns][region.mask] = number
        return True

    def taken(self, within: Region | None = None) -> Mask:
        """Return the pixels of objects of `FEATURES`: (height, width) bool, or the window of a region."""
        owner = self.owner if within is None else self.owner[within.rows, within.columns]
        lookup = np.array([kind in FEATURES for kind in self.kinds] + [False])  # -1, for none, is the last entry
        taken: np.ndarray = lookup[owner]
        return taken

    def is_blocked(self, region: Region) -> bool:
        """Return whether a region touches reserved ground."""
        return bool((self.reserved[region.rows, region.columns] & region.mask).any())

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Undo what is drawn within over the objects of `FEATURES` that are there before, so that they stay visible."""
        region = self.crop(self.taken())
        if not region.mask.size:
            yield
            return
        window = self.image[region.rows, region.columns]
        colours, owner = window.copy("K"), self.owner[region.rows, region.columns].copy()
        yield
        same = region.mask & (owner == self.owner[region.rows, region.columns])
        np.copyto(window, colours, where=same[..., None])

    def reserve(self, region: Region, margin: float = 0) -> None:
        """Keep later objects out of a region and `margin` pixels around it."""
        m = math.ceil(margin) if margin >= 1 and region.mask.size else 0
        ys = slice(max(0, region.rows.start - m), region.rows.stop + m)
        xs = slice(max(0, region.columns.start - m), region.columns.stop + m)
        if ys.stop > ys.start and xs.stop > xs.start:
            top, left = region.rows.start - ys.start, region.columns.start - xs.start
            window = self.reserved[ys, xs]
            grown = np.zeros(window.shape, np.uint8)
            grown[top : top + region.mask.shape[0], left : left + region.mask.shape[1]] = region.mask
            window |= dilate(grown, m)

    def find_spot(
        self,
        radius: float,
        tries: int = 40,
        angle: float | None = None,
        avoid: Mask | None = None,
        thorough: bool = False,
    ) -> Spot | None:
        """Find a free spot for a disc of this radius in pixels, mostly inside the image; None if there is none.

        Args:
            radius: radius in pixels.
            tries: number of places to try at random.
            angle: direction of the spot in radians; None draws it.
            avoid: (height, width) bool, other pixels that the disc must not cover.
            thorough: whether to look everywhere if all tries fail.
        """
        blocked = self.reserved if avoid is None else self.reserved | avoid
        r = max(1, int(radius))
        margin = min(r, self.side // 2 - 1)
        for _ in range(tries):
            x = self.rng.uniform(margin, self.width - margin)
            y = self.rng.uniform(margin, self.height - margin)
            ys = slice(max(0, int(y) - r), int(y) + r + 1)
            xs = slice(max(0, int(x) - r), int(x) + r + 1)
            if not blocked[ys, xs].any():
                break
        else:
            centre = free_centre(self.rng, blocked, r, margin) if thorough else None
            if centre is None:
                return None
            x, y = centre
        turned = self.rng.uniform(0, np.pi) if angle is None else angle
        return Spot(float(x), float(y), radius, float(turned))

    def objects(self) -> tuple[SceneObject, ...]:
        """Return every recorded object that has visible pixels."""
        masks = ((kind, self.owner == number) for number, kind in enumerate(self.kinds))
        return tuple(SceneObject(kind, mask) for kind, mask in masks if mask.any())

    def blob(self, spot: Spot, roughness: float = 0.25, stretch: float = 1.0, points: int = 48) -> Points:
        """Return an irregular outline of about the spot's radius: (points, 2) float64."""
        t = np.linspace(0, 2 * np.pi, points, endpoint=False)
        wobble = np.zeros(points)
        for k in range(2, 7):
            wobble += self.rng.normal(0, 1 / k) * np.cos(k * t + self.rng.uniform(0, 6.3))
        radius = spot.radius * np.clip(1 + roughness * wobble, 0.4, 1.6)
        return spot.at(np.stack([radius * np.cos(t), radius * np.sin(t) / stretch], axis=1))

    def lay_out(self, spot: Spot, footprint: Footprint | None) -> Plot:
        """Return the spot with the outline of a footprint, which is empty without a footprint."""
        if footprint is None:
            return Plot(spot.x, spot.y, spot.radius, spot.angle, 0.0, 0.0, np.zeros((0, 2)), NOWHERE)
        least, greatest = footprint.aspect
        aspect = least if least == greatest else self.rng.uniform(least, greatest)
        width = 2 * spot.radius * footprint.scale
        height = width * aspect
        if footprint.shape == "box":
            outline = spot.box(width, height)
        elif footprint.shape == "ellipse":
            outline = spot.ellipse(width, height, points=footprint.points)
        elif footprint.shape == "oval":
            outline = spot.oval(width, height)
        else:
            outline = self.blob(spot, footprint.roughness, aspect)
        return Plot(spot.x, spot.y, spot.radius, spot.angle, width, height, outline, self.region(outline))


def _resize(
    field: np.ndarray, width: int, height: int, box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    resized = Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(resized)


def smooth(field: np.ndarray, sigma: float) -> np.ndarray:
    """Blur a (height, width) float32 field by a Gaussian of `sigma` pixels, at low resolution if it is wide."""
    step = int(sigma / 2.5)
    if step < 2 or min(field.shape) < 4 * step:
        blurred: np.ndarray = gaussian_filter(field, sigma, mode="nearest", truncate=3.0)
        return blurred
    height, width = field.shape
    small = Image.fromarray(field).resize((-(-width // step), -(-height // step)), Image.Resampling.BOX)
    return _resize(gaussian_filter(np.asarray(small), sigma / step, mode="nearest", truncate=3.0), width, height)


def largest_part(mask: Mask) -> Mask:
    """Return the largest connected part of a (height, width) bool mask."""
    parts, count = label(mask)
    return mask if count < 2 else parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
