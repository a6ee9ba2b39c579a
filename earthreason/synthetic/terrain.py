"""Draw the ground and common objects: soil, fields, trees, water, roads and houses.

Drawing changes `Canvas.image` in place. Lengths are in pixels, except for parameters named `metres`, `low` and `high`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.special import erf

from earthreason.synthetic.canvas import Canvas, smooth
from earthreason.synthetic.colours import ASPHALT, CARS, ROOFS, WHITE, Colour, Palette, blend, rgb
from earthreason.synthetic.geometry import inner_distance
from earthreason.synthetic.shapes import Points, Region, Spot, closed

CROSSING = "crossing"
"""Kind of the ground where two roads cross without signals or zebra crossings, which no question is about."""


def _mix(a: Colour | np.ndarray, b: Colour | np.ndarray, share: np.ndarray) -> np.ndarray:
    """Mix two colours pixel by pixel: (height, width, 3) float32. `share` (height, width) weights the second colour."""
    first, second = (np.asarray(v, np.float32).transpose(2, 0, 1) if np.ndim(v) > 1 else _plane(v) for v in (a, b))
    return (first + (second - first) * share).transpose(1, 2, 0)


def _plane(colour: Colour | np.ndarray) -> np.ndarray:
    return np.asarray(colour, np.float32)[:, None, None]


def open_ground(c: Canvas, p: Palette, bare: float = 0.35) -> None:
    """Draw grass and soil with dips and rain channels; `bare` is about the share of soil."""
    large = c.noise(c.side / 2.2, 4)
    patches = np.clip((c.noise(c.side / 5, 4) - (1 - bare)) * 5, 0, 1) * 0.8
    ground = _mix(_mix(p.grass, p.dry, large), p.soil, patches)
    fine = c.noise(max(5.0, c.px(14)), 3) - 0.5
    slope_y, slope_x = np.gradient(large)
    relief = np.clip((slope_x * c.sun[0] + slope_y * c.sun[1]) * 6.0, -0.35, 0.35)
    c.image[:] = ground * (1 + 0.24 * fine + relief + np.float32(0.03) * c.grain)[..., None]


def farmland(c: Canvas, p: Palette) -> None:
    """Draw a patchwork of fields with furrows, separated by hedges and grass."""
    spacing = float(np.clip(c.px(c.rng.uniform(160, 320)), c.side / 7, c.side / 2.2))
    turn = c.rng.uniform(0, np.pi)
    cells = int(np.hypot(c.width, c.height) / spacing) + 3
    grid = np.stack(np.meshgrid(*[np.arange(-cells, cells + 1)] * 2), axis=-1).reshape(-1, 2)
    seeds = (grid + c.rng.uniform(-0.3, 0.3, grid.shape)) * (spacing * c.rng.uniform(1.0, 1.7), spacing)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    seeds = seeds @ turned + (c.width / 2, c.height / 2)
    seeds = seeds[((seeds > -2 * spacing) & (seeds < np.add((c.width, c.height), 2 * spacing))).all(axis=1)]
    # Chebyshev cells of a turned grid are nearly rectangles, as fields are.
    step = 2 if c.side > 300 else 1
    ys, xs = np.mgrid[0 : c.height : step, 0 : c.width : step].astype(np.float32)
    along, aside = (xs * np.float32(x) + ys * np.float32(y) for x, y in turned)
    nearest, next_nearest = (np.full(xs.shape, np.inf, np.float32) for _ in range(2))
    cell = np.zeros(xs.shape, np.int16)
    for number, (x, y) in enumerate((seeds @ turned.T).astype(np.float32)):
        distance = np.maximum(np.abs(along - x), np.abs(aside - y))
        np.copyto(cell, number, where=distance < nearest)
        np.minimum(next_nearest, np.maximum(distance, nearest), out=next_nearest)
        np.minimum(nearest, distance, out=nearest)
    pixels = np.ix_(np.arange(c.height) // step, np.arange(c.width) // step)
    cell, edge = cell[pixels], (next_nearest - nearest)[pixels]
    colours = np.array([c.jitter(c.pick(p.crops), 0.03) for _ in seeds], np.float32)
    angles = turn + np.where(c.rng.random(len(seeds)) < 0.5, 0, np.pi / 2)
    strength = c.rng.uniform(0.0, 0.07, len(seeds)).astype(np.float32)
    yy, xx = np.mgrid[0 : c.height, 0 : c.width].astype(np.float32)
    period = max(2.6, c.px(6.0))
    across = xx * np.sin(angles).astype(np.float32)[cell] + yy * np.cos(angles).astype(np.float32)[cell]
    furrow = np.sin(across * np.float32(2 * np.pi / period)) * strength[cell]
    ground = colours.T[:, cell].transpose(1, 2, 0) * (1 + furrow + 0.22 * (c.noise(c.side / 8, 4) - 0.5))[..., None]
    hedge = edge < max(1.6, c.px(5))
    tree = np.array(p.tree, np.float32) * 1.25
    # A dry strip between the bushes would look like a road.
    bushes = c.noise(24, 2) > 0.45
    for where, colour in ((hedge & bushes, tree), (hedge & ~bushes, np.array(p.grass, np.float32) * 0.95)):
        np.copyto(ground, colour, where=where[..., None])
    c.image[:] = ground * (1 + np.float32(0.03) * c.grain)[..., None]


def built_ground(c: Canvas, p: Palette, paved: float) -> None:
    """Draw the ground of a town or an industrial site: paving, dust and grass; `paved` is about the share of paving."""
    green = _mix(p.grass, p.dry, c.noise(c.side / 6, 4))
    grey = _mix(rgb("8f8c86"), rgb("a9a296"), c.noise(c.side / 4, 3))
    share = np.clip((c.noise(c.side / 3, 3) - (1 - paved)) * 4, 0, 1)
    texture = 1 + 0.2 * (c.noise(14, 3) - 0.5) + np.float32(0.03) * c.grain
    c.image[:] = _mix(green, grey, share) * texture[..., None]


def canopy(c: Canvas, region: Region, p: Palette, crown: float | None = None) -> None:
    """Draw dense woodland in a region: sunlit crowns of about `crown` pixels, with dark gaps."""
    size = max(1.6, (c.px(9.0) if crown is None else crown) / 2.4)
    if not region.mask.size:
        return
    rough = smooth(c.rng.standard_normal(region.mask.shape).astype(np.float32), size)
    rough = rough / max(float(rough.std()), 1e-6)
    slope_y, slope_x = np.gradient(rough) if min(rough.shape) > 1 else (rough * 0, rough * 0)
    # The side that faces the sun is bright; shadows fall towards c.sun.
    lit = -(slope_x * c.sun[0] + slope_y * c.sun[1]) * size
    tone = np.clip(0.95 + 0.34 * rough * 0.5 + 0.42 * lit, 0.35, 1.75)
    variety = c.noise(c.side / 6, 3, region.mask.shape)
    base = _mix(p.tree, blend(p.tree, p.grass, 0.6), variety)
    np.copyto(c.image[region.rows, region.columns], base * tone[..., None], where=region.mask[..., None])


def lone_trees(c: Canvas, p: Palette, count: int) -> None:
    """Draw single trees with shadows on free ground."""
    for _ in range(count):
        radius = max(1.2, c.px(c.rng.uniform(2.5, 5.5)))
        x, y = c.rng.uniform(0, c.width), c.rng.uniform(0, c.height)
        if c.reserved[int(y), int(x)]:
            continue
        spot = Spot(x, y, radius, 0.0)
        outline = spot.ellipse(2 * radius, 2 * radius, points=10)
        c.shade(outline, 7.0, 0.6)
        c.paint(outline, c.jitter(p.tree, 0.05), 0.05, avoid=c.reserved)
        top = Spot(x - c.sun[0] * radius * 0.3, y - c.sun[1] * radius * 0.3, radius, 0.0)
        light = top.ellipse(radius, radius, points=8)
        c.paint(light, c.jitter(blend(p.tree, p.grass, 0.7), 0.04), 0.04, avoid=c.reserved)


def paint_water(c: Canvas, mask: np.ndarray, p: Palette, shore: float = 10.0, clear: bool = False) -> None:
    """Draw water with a wet rim and faint ripples, which darkens away from the shore.

    Args:
        c: canvas.
        mask: (height, width) bool, the pixels of the water.
        p: palette.
        shore: width of the transition from shallow to deep water in pixels.
        clear: whether shallow water is turquoise, as in a sea.
    """
    shallow = rgb("7fa79b") if clear else blend(p.water, p.soil, 0.25)
    water = c.crop(mask)
    margin = math.ceil(3 * max(c.px(3), 1.0))  # beyond it, the blurred mask is 0
    rows, columns = (slice(max(0, s.start - margin), s.stop + margin) for s in (water.rows, water.columns))
    wet = mask[rows, columns]
    if not wet.size:
        return
    # A blurred mask would be deep at the tip of a spit, which then looks like something on the water.
    share = 1 - (1 - erf(inner_distance(wet) / (math.sqrt(2) * max(1.0, shore)))) ** 2
    colour = _mix(_mix(shallow, p.water, np.minimum(1, 2.2 * share)), p.deep, np.clip(share * 1.3 - 0.35, 0, 0.85))
    ripple = (c.noise(7, 2, wet.shape) - 0.5) * 0.05 + (c.noise(c.side / 3, 2, wet.shape) - 0.5) * 0.12
    colour = colour * (1 + ripple)[..., None] + c.grain[rows, columns, None] * np.float32(0.006)
    np.copyto(c.image[rows, columns], colour, where=wet[..., None])
    rim = ~wet & (smooth(wet.astype(np.float32), max(0.8, c.px(3))) > 0.12)
    c.tint(Region(rows, columns, rim), (0.86, 0.86, 0.86))


def straight_path(c: Canvas, bend: float = 0.03) -> Points:
    """Return a nearly straight line across the image, for roads and rails: (40, 2) float64, rows of (x, y)."""
    angle = c.rng.uniform(0, np.pi)
    x, y = c.rng.uniform(0.2, 0.8) * c.width, c.rng.uniform(0.2, 0.8) * c.height
    reach = np.hypot(c.width, c.height)
    t = np.linspace(-1, 1, 40)
    swing = bend * reach * np.sin(t * c.rng.uniform(1.5, 3) + c.rng.uniform(0, 6.3))
    return Spot(x, y, reach, angle).at(np.stack([t * reach, swing], axis=1))


def road_pixels(c: Canvas) -> np.ndarray:
    """Return the pixels of roads and their plain crossings: (height, width) bool."""
    lookup = np.array([kind in ("road", CROSSING) for kind in c.kinds] + [False])  # -1, for none, is the last entry
    pixels: np.ndarray = lookup[c.owner]
    return pixels


def clear_stretch(c: Canvas, path: Points, width: float, blocked: np.ndarray, from_start: bool = False) -> Points:
    """Return the part of a road that stays clear of what it must not cross.

    A road that went on behind a river would look like one with a bridge, so only one part is left.

    Args:
        c: canvas.
        path: (n, 2) float64, rows of (x, y) pixels.
        width: width of the road in pixels.
        blocked: (height, width) bool, pixels that the road must not touch.
        from_start: whether to return the part that begins where the path begins, in place of the longest.

    Returns:
        The part, (m, 2) float64 with steps of about 1.5 times the width; (0, 2) if it is too short to be a road.
    """
    along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    places = np.linspace(0, along[-1], max(2, int(along[-1] / max(1.0, width / 4))))
    fine = np.stack([np.interp(places, along, path[:, axis]) for axis in (0, 1)], axis=1)
    reach = int(np.ceil(width / 2)) + 1
    # What lies far outside the image cannot be seen. The start stays, as other roads may meet there.
    visible = np.flatnonzero(((fine > -2 * reach) & (fine < np.add((c.width, c.height), 2 * reach))).all(axis=1))
    if not visible.size:
        return fine[:0]
    fine = fine[0 if from_start else visible[0] : visible[-1] + 1]
    around = np.concatenate([np.zeros((1, 2)), Spot(0, 0, 0, 0).ellipse(2 * reach, 2 * reach, points=12)])
    found, seen = _look_up(blocked, around[:, None] + fine)
    near, inside = found.any(axis=0), seen[0]
    stops = np.flatnonzero(near)
    edges = [-1, *stops.tolist(), len(fine)]
    runs = [(first + 1, last) for first, last in pairwise(edges)]
    start, stop = runs[0] if from_start else max(runs, key=lambda run: int(inside[run[0] : run[1]].sum()))
    length = inside[start:stop].sum() * (places[1] - places[0])
    if length < max(2 * width, 0.04 * c.side):
        return fine[:0]
    # Short segments would leave gaps in a wide stroke.
    keep = np.linspace(start, stop - 1, max(2, round((stop - start) / 6))).astype(int)
    return fine[keep]


def _faces_road(c: Canvas, part: Points, blocked: np.ndarray, roads: np.ndarray, from_start: bool) -> bool:
    """Return whether another road continues the line of a road behind ground that neither may cross."""
    ends = ((part[-1], part[-2]),) if from_start else ((part[-1], part[-2]), (part[0], part[1]))
    for end, before in ends:
        ahead = (end - before) / np.hypot(*(end - before))
        side = np.array([-ahead[1], ahead[0]])
        asides = np.linspace(-0.03, 0.03, 5)[:, None, None] * c.side * side
        rays = end + asides + np.arange(0.6 * c.side)[:, None] * ahead
        road, inside = _look_up(roads, rays)
        behind = road & np.logical_or.accumulate(_look_up(blocked, rays)[0], axis=1)
        for ray in np.flatnonzero(behind.any(axis=1)):
            first = int(behind[ray].argmax())
            further = slice(first, first + max(6, int(0.07 * c.side)))
            if road[ray, further].sum() > 0.7 * inside[ray, further].sum():
                return True
    return False


def _look_up(mask: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a (height, width) bool mask at points (..., 2), False outside, and which are inside."""
    x, y = np.floor(points).astype(np.int32).transpose(-1, *range(points.ndim - 1))
    height, width = mask.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return mask[np.where(inside, y, 0), np.where(inside, x, 0)] & inside, inside


def paint_roads(
    c: Canvas,
    paths: Sequence[Points],
    metres: float,
    paved: bool = True,
    blocked: np.ndarray | None = None,
    from_start: bool = False,
) -> None:
    """Draw roads along (n, 2) paths, with verges and, where these can be seen, markings and cars.

    A road ends where it meets reserved ground other than a road. Where two roads cross, the ground becomes a
    `CROSSING`, unless the paths come from one start, as the arms of an intersection do.

    Args:
        c: canvas.
        paths: (n, 2) float64 each, rows of (x, y) pixels.
        metres: width of the roads.
        paved: whether they have asphalt.
        blocked: (height, width) bool, pixels that they must not touch; None stands for the reserved ones.
        from_start: whether each road must begin where its path begins.
    """
    width = max(1.5, c.px(metres))
    older = road_pixels(c)
    closed_to = (c.reserved if blocked is None else blocked) & ~older
    parts, layers = [], np.zeros(c.owner.shape, np.uint8)
    for path in paths:
        part = clear_stretch(c, path, width, closed_to, from_start)
        if len(part) > 1 and not _faces_road(c, part, closed_to, older | (layers > 0), from_start):
            strip = c.stroke(part, width)
            layers[strip.rows, strip.columns] += strip.mask
            parts.append(part)
    if not parts:
        return
    c.fill(c.without(c.strokes(parts, width * 1.5 + 1), c.reserved), rgb("8b8468"), 0.02, 0.55)
    region = c.without(c.strokes(parts, width), closed_to)
    c.fill(region, c.jitter(ASPHALT if paved else rgb("b09c7c"), 0.04), 0.015)
    c.claim("road", c.without(region, older))
    c.claim(CROSSING, c.crop(((layers > 1) & (not from_start) | (layers > 0) & older) & ~closed_to))
    for path in parts if paved else ():
        if width >= 7:
            dashes = [np.stack([path[k], (path[k] + path[k + 1]) / 2]) for k in range(len(path) - 1)]
            c.fill(c.without(c.strokes(dashes, max(1.0, c.px(0.35))), closed_to), WHITE, 0.0, min(0.8, c.px(0.35)))
        if c.gsd < 2:
            _drive(c, path, width)
    c.reserved[region.rows, region.columns] |= region.mask


def _drive(c: Canvas, path: Points, width: float) -> None:
    """Draw a few cars along a road, on either side."""
    for _ in range(int(c.rng.integers(2, 7))):
        i = int(c.rng.integers(len(path) - 1))
        step = path[i + 1] - path[i]
        angle = float(np.arctan2(step[1], step[0]))
        side = c.rng.choice((-0.25, 0.25)) * width
        x, y = path[i] + step * c.rng.random()
        draw_car(c, Spot(x, y, 3, angle).moved(0, side))


def draw_car(c: Canvas, spot: Spot, on_reserved: bool = False) -> None:
    """Draw a car if the spot is in the image and free; `on_reserved` allows reserved pixels."""
    inside = 0 <= spot.x < c.width and 0 <= spot.y < c.height
    if not inside or (c.reserved[int(spot.y), int(spot.x)] and not on_reserved):
        return
    box = spot.box(max(2.0, c.px(4.5)), max(1.2, c.px(1.9)))
    c.shade(box, 1.5)
    c.paint(box, c.pick(CARS), 0.01)


def draw_building(
    c: Canvas, spot: Spot, width: float, depth: float, metres: float, colour: Colour | None = None, flat: bool = False
) -> Region:
    """Draw a building of `width` x `depth` pixels and `metres` height; return the region of its roof.

    The roof is gabled, or if `flat`, it has a parapet and boxes.
    """
    roof = c.jitter(colour or c.pick(ROOFS), 0.04)
    outline = spot.box(width, depth)
    c.shade(outline, metres)
    region = c.region(outline)
    c.fill(region, roof, 0.012)
    if flat:
        c.line(closed(outline), max(1.0, c.px(0.8)), blend(roof, WHITE, 0.4), 0.8)
        for _ in range(int(c.rng.integers(0, 5))):
            dx, dy = c.rng.uniform(-0.35, 0.35, 2) * (width, depth)
            box = spot.box(max(1.5, width * 0.08), max(1.5, depth * 0.1), dx, dy)
            c.shade(box, 2)
            c.paint(box, blend(roof, WHITE, 0.25), 0.01)
    elif depth >= 4:
        side = spot.at([(0, 1)])[0] - (spot.x, spot.y)
        facing = -(side[0] * c.sun[0] + side[1] * c.sun[1])
        half = spot.box(width, depth / 2, 0, depth / 4)
        c.paint(half, blend(roof, WHITE if facing > 0 else (0, 0, 0), 0.2 * abs(facing) + 0.05), 0.012)
    return region


def scatter_buildings(c: Canvas, count: int, low: float, high: float, metres: float, angle: float) -> None:
    """Draw up to `count` aligned buildings, `low` to `high` metres wide and about `metres` high, on free ground."""
    for _ in range(count):
        width = c.px(c.rng.uniform(low, high))
        depth = width * c.rng.uniform(0.5, 0.9)
        if width < 3:
            continue
        spot = c.find_spot(0.68 * width, tries=6, angle=angle + c.rng.choice((0, np.pi / 2)))
        if spot is None:
            continue
        region = draw_building(c, spot, width, depth, metres * c.rng.uniform(0.7, 1.5), flat=high > 30)
        c.claim("building", region)
        c.reserve(region, max(1.0, c.px(2)))


def street_grid(c: Canvas, block: float, angle: float, metres: float = 8.0, crossings: bool = True) -> None:
    """Draw streets of a width in metres in a grid rotated by `angle` (radians), about `block` pixels apart.

    Without `crossings`, draw only those of one direction.
    """
    reach = np.hypot(c.width, c.height)
    direction, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    streets = []
    families = ((direction, across, block), (across, direction, block * c.rng.uniform(1.0, 1.6)))
    for u, v, gap in families if crossings else families[:1]:
        for k in range(-int(reach / gap), int(reach / gap) + 1):
            middle = (c.width / 2, c.height / 2) + v * (k + c.rng.uniform(-0.12, 0.12)) * gap
            street = middle + u * np.linspace(-reach, reach, 24)[:, None]
            if ((street > 0) & (street < (c.width, c.height))).all(axis=1).any():
                streets.append(street)
    if streets:
        paint_roads(c, streets, metres)
