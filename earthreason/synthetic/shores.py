"""Draw lakes, rivers, the sea, beaches, islands, dams, bridges, piers and woodland.

A painter takes the canvas, the palette and the place of the object (pixels). It draws on `Canvas.image` in place, and
records the object with `Canvas.claim` unless the renderer has done so for its footprint.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from earthreason.synthetic.canvas import MIN_VISIBLE, Canvas, largest_part, smooth
from earthreason.synthetic.colours import ASPHALT, CONCRETE, WHITE, Palette, blend, rgb
from earthreason.synthetic.shapes import Plot, Points, Spot
from earthreason.synthetic.terrain import canopy, draw_car, paint_roads, paint_water


def lake(c: Canvas, p: Palette, plot: Plot) -> None:
    c.paint(c.blob(plot, 0.1), p.grass, 0.02, 0.35, avoid=c.owner >= 0)
    paint_water(c, c.mask_of(plot.region), p, max(2.0, plot.radius * 0.08))


def woodland(c: Canvas, p: Palette, plot: Plot) -> None:
    c.shade(plot.outline, 12, 0.6)
    canopy(c, plot.region, p)


def _river_path(c: Canvas) -> Points:
    """Return a meandering line from one edge of the image to the opposite one: (60, 2) float64, rows of (x, y)."""
    t = np.linspace(-0.1, 1.1, 60)
    swing = sum(c.rng.normal(0, 0.16 / k) * np.sin(2 * np.pi * k * t + c.rng.uniform(0, 6.3)) for k in (1, 2, 3))
    course = np.asarray(c.rng.uniform(0.3, 0.7) + swing)
    # It must not leave the image at its side and come back, for it would look like two rivers.
    low, high = min(float(course.min()), 0.15), max(float(course.max()), 0.85)
    course = 0.15 + 0.7 * (course - low) / (high - low) if (low, high) != (0.15, 0.85) else course
    if c.rng.random() < 0.5:
        return np.stack([t * c.width, course * c.height], axis=1)
    return np.stack([course * c.width, t * c.height], axis=1)


def lay_river(c: Canvas, p: Palette, metres: float) -> tuple[Points, float]:
    """Draw a river across the image; return its centre line, (60, 2) float64 (x, y), and its width in pixels."""
    width = float(np.clip(c.px(metres), 0.05 * c.side, 0.16 * c.side))
    path = _river_path(c)
    places = np.linspace(0, len(path) - 1, 6 * len(path))
    fine = np.stack([np.interp(places, np.arange(len(path)), path[:, axis]) for axis in (0, 1)], axis=1)
    wide = width * (1 + 0.25 * np.sin(places / 7.0))
    mask = c.mask_of(c.discs(fine, wide))
    bank = smooth(mask.astype(np.float32), width * 0.35)
    canopy(c, c.crop(~mask & (bank > 0.08) & (c.noise(width, 3) > 0.42)), p)
    paint_water(c, mask, p, width * 0.3)
    region = c.crop(mask)
    c.claim("river", region)
    c.reserve(region, max(2.0, 0.25 * width))
    return path, width


def lay_sea(c: Canvas, p: Palette, share: float) -> np.ndarray:
    """Draw a sea that covers `share` of the image from one side; return its (height, width) bool mask."""
    angle = c.rng.uniform(0, 2 * np.pi)
    ys, xs = np.mgrid[0 : c.height, 0 : c.width].astype(np.float32)
    ramp = (xs / c.width - 0.5) * np.float32(np.cos(angle)) + (ys / c.height - 0.5) * np.float32(np.sin(angle))
    ramp += 0.22 * (c.noise(c.side / 1.6, 4) - 0.5)
    wet: np.ndarray = ramp > np.quantile(ramp, 1 - share)
    mask = ~largest_part(~largest_part(wet))  # no ponds on land, no islands that are not objects
    paint_water(c, mask, p, 0.05 * c.side, clear=True)
    c.claim("sea", c.crop(mask))
    return mask


def beach(c: Canvas, p: Palette, spot: Spot) -> None:
    sea = _sea(c)
    near = smooth(sea.astype(np.float32), max(5.0, 0.075 * c.side))
    strip = largest_part(~sea & (near > 0.16 + 0.1 * (c.noise(c.side / 5, 3) - 0.5)) & ~c.reserved)
    region = c.crop(strip)
    if not c.claim("beach", region):
        return
    sand = c.jitter(rgb("e3d3a8"), 0.02)
    c.fill(region, sand, 0.025)
    wet = strip & (near > 0.42)
    c.fill(c.crop(wet), blend(sand, rgb("8a7a5c"), 0.4), 0.015)
    dunes = strip & (near < 0.24) & (c.noise(12, 2) > 0.6)
    c.fill(c.crop(dunes), blend(sand, p.grass, 0.5), 0.03)
    foam = sea & (near < 0.6) & (c.noise(18, 3) > 0.42)
    c.fill(c.crop(foam), rgb("f4f7f5"), 0.02, 0.85)
    second = sea & (near > 0.7) & (near < 0.76) & (c.noise(30, 2) > 0.55)
    c.fill(c.crop(second), rgb("eef4f2"), 0.02, 0.6)
    if c.gsd < 2.5:
        size = max(1.6, c.px(2.6))
        rows, columns = np.nonzero(strip & (near < 0.4))
        for _ in range(min(60, rows.size // 80)):
            i = int(c.rng.integers(rows.size))
            shade = Spot(float(columns[i]), float(rows[i]), 1.5, 0)
            colour = c.pick((rgb("d8453e"), rgb("3f7fc1"), WHITE, rgb("e0b93f")))
            c.paint(shade.ellipse(size, size, points=8), colour, 0.0, avoid=~strip)


def _sea(c: Canvas) -> np.ndarray:
    return c.owner == c.kinds.index("sea") if "sea" in c.kinds else np.zeros((c.height, c.width), bool)


def island(c: Canvas, p: Palette, plot: Plot) -> None:
    mask = c.mask_of(plot.region)
    halo = ~mask & (smooth(mask.astype(np.float32), max(3.0, 0.2 * plot.radius)) > 0.12)
    c.fill(c.without(c.crop(halo), c.owner != c.kinds.index("sea")), rgb("86b8ad"), 0.01, 0.5)
    c.fill(plot.region, c.jitter(rgb("8f8674"), 0.02), 0.05)  # rocks: sand would be a beach
    inner = smooth(mask.astype(np.float32), max(1.5, 0.07 * plot.radius)) > 0.82
    c.fill(c.crop(inner & mask), p.grass, 0.03)
    canopy(c, c.crop(inner & mask & (c.noise(max(8.0, plot.radius / 2), 3) > 0.42)), p, max(2.5, c.px(9)))


def pier(c: Canvas, p: Palette, spot: Spot) -> None:
    sea = _sea(c)
    near = smooth(sea.astype(np.float32), max(4.0, 0.08 * c.side))
    rows, columns = np.nonzero(~sea & (near > 0.3) & ~c.reserved)
    slope_y, slope_x = np.gradient(near)
    length = 1.5 * spot.radius
    for _ in range(30 if rows.size else 0):
        i = int(c.rng.integers(rows.size))
        root = np.array([columns[i], rows[i]], np.float64)
        out = np.array([slope_x[rows[i], columns[i]], slope_y[rows[i], columns[i]]])
        if np.linalg.norm(out) < 1e-6:
            continue
        out /= np.linalg.norm(out)
        x, y = root + out * length
        inside = 4 < x < c.width - 4 and 4 < y < c.height - 4
        if inside and sea[int(y), int(x)] and _draw_pier(c, root, out, length):
            return


def _draw_pier(c: Canvas, root: np.ndarray, out: np.ndarray, length: float) -> bool:
    """Draw a pier of `length` pixels from `root` on the shore along the unit vector `out`; False if it is blocked."""
    across = np.array([-out[1], out[0]])

    def at(*points: tuple[float, float]) -> Points:
        # Not `Spot.at`: the root has integer coordinates, which a cosine of 6e-17 would push into another pixel.
        return np.stack([root + out * x + across * y for x, y in points])

    width = max(3.0, c.px(9), 0.06 * length)
    deck, head = at((0, 0), (length, 0)), at((length, -0.13 * length), (length, 0.13 * length))
    berths = (0.35, 0.55, 0.75) if c.rng.random() < 0.6 else ()
    arms = [at((t * length, -0.1 * length), (t * length, 0.1 * length)) for t in berths]
    slim = [c.stroke(arm, max(1.5, width * 0.45)) for arm in arms]
    union = c.mask_of(c.stroke(deck, width), c.stroke(head, width * 1.8), *slim)
    if (union & c.reserved).any() or not c.claim("pier", c.crop(union)):
        return False
    offset = np.array(c.sun) * max(1.0, c.px(4))
    for line, thick in ((deck, width), (head, width * 1.8)):
        c.fill(c.without(c.stroke(line + offset, thick), union), (0.08, 0.14, 0.16), 0.0, 0.55)
    wood = c.jitter(c.pick((rgb("b39b7a"), rgb("b9b6ae"), rgb("93816b"))), 0.02)
    c.fill(c.crop(union), wood, 0.03)
    for t in np.linspace(0.02, 0.98, max(6, int(length / 5))):
        plank = at((t * length, -width / 2), (t * length, width / 2))
        c.line(plank, 0.7, blend(wood, (0, 0, 0), 0.4), 0.45)
    size = max(4.0, c.px(11))
    hull = size * np.array([(0.5, 0), (0.1, -0.2), (-0.5, -0.16), (-0.5, 0.16), (0.1, 0.2)])
    for k, t in enumerate(berths):
        for side in (-0.1, 0.1):
            x, y = at((t * length + max(2.5, c.px(5)), side * length))[0]
            c.paint(Spot(x, y, 1, np.arctan2(out[1], out[0]) + 0.1 * k).at(hull), WHITE, 0.0, avoid=union)
    c.reserve(c.crop(union), max(3.0, 0.12 * length))
    return True


def lay_bridge(c: Canvas, p: Palette, path: Points, width: float, where: float) -> None:
    """Draw a road across a river, with a deck from bank to bank.

    Args:
        c: canvas.
        p: palette.
        path: centre line of the river, (n, 2) float64, rows of (x, y).
        width: width of the river in pixels.
        where: position of the bridge along the river, from 0 to 1.
    """
    i = int(np.clip(where * len(path), 3, len(path) - 4))
    along = path[i + 2] - path[i - 2]
    along = along / np.linalg.norm(along)
    turn = c.rng.uniform(-0.3, 0.3)
    cos, sin = np.cos(turn), np.sin(turn)
    across = np.array([-along[1] * cos - along[0] * sin, along[0] * cos - along[1] * sin])
    middle = path[i]
    if not (0.08 * c.width < middle[0] < 0.92 * c.width and 0.08 * c.height < middle[1] < 0.92 * c.height):
        return
    deck_width = max(5.0, c.px(14), 0.16 * width)
    on_river = c.owner == c.kinds.index("river")
    half = next(
        (h for h in np.linspace(0.8, 1.3, 6) * width if _is_dry(c, middle, across * h, deck_width, on_river)), 0
    )
    if not half:
        return
    ends = np.stack([middle - across * half, middle + across * half])
    reach = np.hypot(c.width, c.height)
    deck = c.stroke(ends, deck_width)
    taken = deck.mask & (c.owner[deck.rows, deck.columns] >= 0)
    if any(c.kinds[n] != "river" for n in np.unique(c.owner[deck.rows, deck.columns][taken])):
        return
    for sign in (-1, 1):
        t = np.linspace(0, 1, 12)[:, None]
        bend = c.rng.uniform(-0.12, 0.12) * reach * t**2
        road = middle + sign * across * (half * 0.98 + t * reach) + bend * along
        paint_roads(c, [road], deck_width * 0.8 * c.gsd, blocked=c.taken(), from_start=True)
    offset = np.array(c.sun) * max(1.5, c.px(9))
    c.fill(c.without(c.stroke(ends + offset, deck_width), ~on_river), (0.07, 0.11, 0.12), 0.0, 0.6)
    c.owner[deck.rows, deck.columns][deck.mask] = len(c.kinds)
    c.kinds.append("bridge")  # the bridge hides the river, so it takes the river's pixels
    c.fill(deck, c.jitter(CONCRETE, 0.03), 0.012)
    c.line(ends, deck_width * 0.66, c.jitter(ASPHALT, 0.02), 1.0)
    c.line(ends, max(0.8, c.px(0.4)), WHITE, 0.7)
    for t in np.linspace(0.1, 0.9, max(2, int(half * 2 / max(8.0, c.px(30))))):
        at = ends[0] + (ends[1] - ends[0]) * t
        c.line(np.stack([at - along * deck_width * 0.52, at + along * deck_width * 0.52]), 1.0, rgb("87847c"), 0.7)
    if c.gsd < 2:
        angle = float(np.arctan2(across[1], across[0]))
        for t in c.rng.uniform(0.1, 0.9, 4):
            at = ends[0] + (ends[1] - ends[0]) * t + along * deck_width * 0.17
            draw_car(c, Spot(at[0], at[1], 2, angle), on_reserved=True)
    c.reserve(deck, 2)


def _is_dry(c: Canvas, middle: np.ndarray, arm: np.ndarray, width: float, wet: np.ndarray) -> bool:
    """Return whether a bridge of `width` pixels from `middle` - `arm` to `middle` + `arm` ends on land in the image."""
    for end in (middle - arm, middle + arm):
        pad = c.region(Spot(float(end[0]), float(end[1]), 0, 0).ellipse(1.5 * width, 1.5 * width))
        inside = 0 < end[0] < c.width and 0 < end[1] < c.height
        if not inside or (wet[pad.rows, pad.columns] & pad.mask).any():
            return False
    return True


def dam(c: Canvas, p: Palette, spot: Spot) -> None:
    """Draw a curved dam across a valley, with a reservoir above it, and a spillway and a river below."""
    length = 1.5 * spot.radius
    reservoir = c.blob(replace(spot.moved(-1.25 * length, 0), radius=1.35 * length), 0.14, 1.1)
    wet = c.mask_of(c.region(reservoir))
    ys, xs = np.mgrid[0 : c.height, 0 : c.width]
    down = (xs - spot.x) * np.cos(spot.angle) + (ys - spot.y) * np.sin(spot.angle)
    side = -(xs - spot.x) * np.sin(spot.angle) + (ys - spot.y) * np.cos(spot.angle)
    crest = 0.2 * length * (1 - (2 * side / length) ** 2)  # the wall bends upstream
    throat = (np.abs(side) < 0.47 * length) & (down < 0) & (down > -0.75 * length)
    wet = (wet | throat) & (down < -crest)
    thick = max(3.5, c.px(16), 0.075 * length)
    wall = (np.abs(side) < 0.52 * length) & (down >= -crest) & (down < -crest + thick)
    slope = (np.abs(side) < 0.44 * length) & (down >= -crest + thick) & (down < -crest + 2.1 * thick)
    spill = (np.abs(side) < 0.1 * length) & (down > -crest + thick * 0.8) & (down < 0.32 * length)
    dam_region = c.crop(wall | slope | spill)
    if dam_region.area < MIN_VISIBLE:
        return
    valley = np.abs(side) < (0.62 + 0.25 * c.noise(c.side / 4, 2)) * length
    rock = valley & (down > -0.2 * length) & (down < 0.5 * length) & ~wet
    c.fill(c.crop(rock), blend(p.soil, p.dry, 0.5), 0.04, 0.75)
    t = np.linspace(0.02, 1, 30)
    stream_path = spot.at(np.stack([t * 3 * length, 0.16 * length * np.sin(2.2 * t + 0.4) * t], axis=1))
    stream = c.mask_of(c.stroke(stream_path, 0.2 * length)) & (down >= 0.32 * length)
    paint_water(c, wet, p, max(2.0, 0.1 * length))
    paint_water(c, stream, p, max(2.0, 0.05 * length))
    c.claim("lake", c.crop(wet))
    c.claim("river", c.crop(stream))
    c.claim("dam", dam_region)
    c.fill(c.crop(slope), c.jitter(rgb("a19d93"), 0.02), 0.025)
    for k in np.linspace(-0.4, 0.4, 9):
        joint = spot.at([(-0.1 * length, k * length), (2 * thick, k * length)])
        c.line(joint, 1.0, rgb("7f7b72"), 0.6, c.crop(slope))
    c.fill(c.crop(wall), c.jitter(rgb("cfccc3"), 0.02), 0.012)
    arc = [(-0.2 * length * (1 - (2 * s) ** 2) + thick * 0.5, s * length) for s in np.linspace(-0.5, 0.5, 24)]
    c.line(spot.at(arc), max(1.5, thick * 0.35), rgb("77756f"), 1.0)
    c.fill(c.crop(spill), rgb("edf3f2"), 0.05, 0.85)
    c.reserve(c.crop(wet | wall | slope | spill | stream), 3)
    hills = ~wet & ~rock & ~stream & ~wall & ~slope & ~spill & ~c.reserved & (c.noise(c.side / 5, 4) > 0.47)
    canopy(c, c.crop(hills), p)
