"""Draw roundabouts, intersections and viaducts, with their roads.

`shores` describes the interface of a painter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from earthreason.synthetic.canvas import Canvas
from earthreason.synthetic.colours import ASPHALT, CARS, CONCRETE, WHITE, Palette, blend, rgb
from earthreason.synthetic.shapes import Points, Region, Spot, closed
from earthreason.synthetic.terrain import canopy, clear_stretch, draw_car, paint_roads


def _lay_arms(c: Canvas, paths: Sequence[Points], metres: float) -> None:
    """Draw roads from one start, each up to the first ground that it must not cross."""
    paint_roads(c, paths, metres, from_start=True)


def _are_blocked(c: Canvas, paths: Sequence[Points], width: float) -> bool:
    """Return whether much of roads of this width in pixels would lie on reserved ground."""
    region = c.strokes(paths, width)
    covered = c.reserved[region.rows, region.columns][region.mask]
    return bool(covered.sum() > 0.12 * covered.size)


def roundabout(c: Canvas, p: Palette, spot: Spot) -> None:
    size = 2 * spot.radius * 0.86
    lane = max(3.0, 0.2 * size)
    arms = int(c.rng.integers(3, 6))
    reach = 1.2 * np.hypot(c.width, c.height)
    paths = []
    for k in range(arms):
        a = spot.angle + 2 * np.pi * k / arms + c.rng.uniform(-0.15, 0.15)
        t = np.linspace(0.2, 1, 16)[:, None] * reach
        bend = c.rng.uniform(-0.1, 0.1) * reach * np.linspace(0, 1, 16)[:, None] ** 2
        paths.append(replace(spot, angle=a).at([(0, 0), *np.hstack([t, bend])]))
    if _are_blocked(c, paths, lane):
        return
    region = c.region(spot.ellipse(size, size, points=64))
    if not c.claim("roundabout", region):
        return
    _lay_arms(c, paths, lane * c.gsd * 0.85)
    c.paint(spot.ellipse(size * 1.08, size * 1.08), rgb("a8a294"), 0.02, avoid=c.owner >= 0)
    c.fill(region, c.jitter(ASPHALT, 0.02), 0.012)
    c.line(closed(spot.ellipse(size * 0.77, size * 0.77)), max(0.8, c.px(0.3)), WHITE, 0.6)
    inner = size - 2 * lane
    c.paint(spot.ellipse(inner * 1.08, inner * 1.08), rgb("c4bcab"), 0.01)
    c.paint(spot.ellipse(inner, inner), c.jitter(rgb("64863f"), 0.03), 0.02)
    c.paint(spot.ellipse(inner * 0.5, inner * 0.5), c.jitter(p.tree, 0.02), 0.05)
    for _ in range(int(c.rng.integers(2, 6))):
        car = replace(spot, angle=c.rng.uniform(0, 6.3)).box(c.px(1.9), c.px(4.5), size * 0.4, 0)
        if c.px(4.5) >= 3:
            c.paint(car, c.pick(CARS), 0.0)


def intersection(c: Canvas, p: Palette, spot: Spot) -> None:
    """Draw a crossing or a junction of roads at one level, with zebra crossings and traffic lights."""
    size = 2 * spot.radius * 0.94
    road = size * c.rng.uniform(0.3, 0.38)
    reach = 1.2 * np.hypot(c.width, c.height)
    skew = c.rng.uniform(-0.25, 0.25)
    turns = [0.0, np.pi / 2 + skew, np.pi, 1.5 * np.pi + skew][: 3 if c.rng.random() < 0.3 else 4]
    arms = [replace(spot, angle=spot.angle + turn) for turn in turns]
    t = np.linspace(0, 1, 24)
    swing = [c.rng.uniform(-0.12, 0.12) * reach * np.maximum(t - 0.3, 0) ** 2 for _ in arms]
    paths = [arm.at(np.stack([t * reach, bend], axis=1)) for arm, bend in zip(arms, swing, strict=True)]
    corner = road / 2 + 0.1 * size
    if _are_blocked(c, paths, road):
        return
    hub = np.concatenate([arm.at([(corner, -road / 2), (corner, road / 2)]) for arm in arms])
    stubs = [arm.box(size / 2, road, size / 4) for arm in arms]
    region = c.crop(c.mask_of(c.region(hub), *map(c.region, stubs)))
    if not c.claim("intersection", region):
        return
    parts = [clear_stretch(c, path, road * 1.3, c.reserved, from_start=True) for path in paths]
    c.fill(c.strokes([part for part in parts if len(part)] or paths, road * 1.3), rgb("a8a294"), 0.02)
    _lay_arms(c, paths, road * c.gsd)
    c.paint((hub - (spot.x, spot.y)) * 1.12 + (spot.x, spot.y), rgb("a8a294"), 0.02, avoid=c.owner >= 0)
    asphalt = c.jitter(ASPHALT, 0.02)
    c.fill(region, asphalt, 0.015)
    for first, second in zip(arms, [*arms[1:], arms[0]], strict=True):  # wear where vehicles turn
        ends = first.at([(0.6 * road, -0.25 * road)])[0], second.at([(0.6 * road, 0.25 * road)])[0]
        k = np.linspace(0, 1, 12)[:, None]
        curve = (1 - k) ** 2 * ends[0] + 2 * k * (1 - k) * np.array([spot.x, spot.y]) + k**2 * ends[1]
        c.line(curve, 0.14 * road, blend(asphalt, (0, 0, 0), 0.2), 0.35)
    if c.rng.random() < 0.3:
        box = spot.box(road * 0.8, road * 0.8)
        for k in np.linspace(-0.4, 0.4, 6):
            for sign in (-1, 1):
                c.line(spot.at([(k * road, -0.4 * road), (sign * 0.4 * road, k * road)]), c.px(0.2), rgb("d9b93c"), 0.6)
        c.line(closed(box), max(0.8, c.px(0.25)), rgb("d9b93c"), 0.8)
    for arm in arms:
        _mark_arm(c, arm, size, road, corner)


def _mark_arm(c: Canvas, arm: Spot, size: float, road: float, corner: float) -> None:
    """Draw the markings, lights and waiting cars of an arm of an intersection, which points to +x from its centre."""
    line = max(0.8, c.px(0.3))
    zebra, stop = corner + 0.035 * size, corner + 0.08 * size
    bars = max(4, int(road / max(2.4, c.px(1.2))))
    offsets = (np.arange(bars) + 0.5 - bars / 2) * road * 0.94 / bars
    stripes = [arm.at([(zebra - 0.03 * size, y), (zebra + 0.03 * size, y)]) for y in offsets]
    c.fill(c.strokes(stripes, road * 0.47 / bars), WHITE, 0.0, 0.95)
    end = max(size / 2, stop + 0.05 * size)
    c.line(arm.at([(stop, 0), (stop, 0.47 * road)]), max(1.0, c.px(0.6)), WHITE, 0.95)
    c.line(arm.at([(stop, 0), (end, 0)]), line, rgb("d9c26a"), 0.9)
    for y in (-0.25, 0.25):
        c.line(arm.at([(stop, y * road), (end, y * road)]), line, WHITE, 0.8)
    for y in (-0.56, 0.56):
        pole = arm.moved(zebra, y * road)
        c.line(np.stack([(pole.x, pole.y), (pole.x, pole.y) + np.array(c.sun) * c.px(5)]), 1.0, (0.1, 0.1, 0.1), 0.5)
        c.paint(pole.ellipse(max(2.0, c.px(1.2)), max(2.0, c.px(1.2)), points=8), rgb("e0c04a"), 0.0)
    for lane in (0.125, 0.375):
        queue = int(c.rng.integers(0, 4))
        for k in range(queue):
            draw_car(c, arm.moved(stop + c.px(3.4 + 6.5 * k), lane * road), on_reserved=True)


def viaduct(c: Canvas, p: Palette, spot: Spot) -> None:
    """Draw a road on pillars high above dry land and other roads, with its shadow at a distance."""
    length = 2 * spot.radius * 0.96
    deck_width = max(6.0, c.px(c.rng.uniform(20, 28)), 0.05 * length)
    height = c.rng.uniform(16, 30) * c.shadow_length
    bend = c.rng.uniform(-0.16, 0.16) * length
    t = np.linspace(-1, 1, 60)
    axis = spot.at(np.stack([t * length / 2, bend * t**2], axis=1))
    deck = c.crop(c.mask_of(c.stroke(axis, deck_width)))
    reach = np.hypot(c.width, c.height)
    approaches = []  # the road goes on at both ends
    for end, before in ((axis[-1], axis[-4]), (axis[0], axis[3])):
        ahead = (end - before) / np.linalg.norm(end - before)
        approaches.append(end + np.linspace(0, reach, 30)[:, None] * ahead)
    if _are_blocked(c, approaches, deck_width) or not c.claim("viaduct", deck):
        return
    _lay_below(c, p, spot, length, bend)
    for road in approaches:
        bank = c.without(c.stroke(road[:4], deck_width * 2.2), c.reserved | c.taken())
        c.fill(bank, blend(p.grass, p.soil, 0.4), 0.03)
    _lay_arms(c, approaches, deck_width * 0.86 * c.gsd)
    # Near its ends the deck is close to the ground, and so is its shadow.
    lift = (height * np.minimum(1, (1 - np.abs(t)) / 0.22))[:, None] * np.array(c.sun)
    dark = c.mask_of(c.stroke(axis + lift, deck_width * 0.95))
    for k in range(4, 57, max(1, int(60 * c.px(42) / length))):
        dark |= c.mask_of(c.stroke(np.stack([axis[k], axis[k] + lift[k]]), max(1.5, deck_width * 0.2)))
    shadow = c.crop(dark & ~c.taken())
    c.tint(shadow, (0.5, 0.52, 0.56))
    _pave_deck(c, axis, deck, deck_width)


def _lay_below(c: Canvas, p: Palette, spot: Spot, length: float, bend: float) -> None:
    """Draw what a viaduct crosses: a dry valley or a green belt, and roads."""
    reach = 1.2 * np.hypot(c.width, c.height)
    free = ~(c.reserved | (c.owner >= 0))
    ys, xs = np.mgrid[0 : c.height, 0 : c.width].astype(np.float32)
    along = (xs - spot.x) * np.cos(spot.angle) + (ys - spot.y) * np.sin(spot.angle)
    along += (c.noise(c.side / 2.5, 3) - 0.5) * 0.5 * length
    depth = np.clip(1 - np.abs(along) / (0.36 * length), 0, 1) * free
    slope_y, slope_x = np.gradient(-depth * 0.36 * length)
    relief = np.clip((slope_x * c.sun[0] + slope_y * c.sun[1]) * -0.16, -0.16, 0.16)
    ground = np.array(blend(p.grass, p.dry, 0.3), np.float32) * (1 + 0.25 * (c.noise(12, 3) - 0.5))[..., None]
    share = np.minimum(0.75, 2.5 * depth)[..., None]
    c.image[:] = (c.image * (1 - share) + ground * share) * (1 + relief * free)[..., None]
    canopy(c, c.crop((depth > 0.1) & (c.noise(c.side / 8, 3) > 0.58)), p)
    count = int(c.rng.integers(1, 4))
    turn = spot.angle + np.pi / 2 + c.rng.uniform(-0.3, 0.3)
    for k in range(count):
        at = (k + 0.5 - count / 2) / count * 0.7
        middle = replace(spot.moved(at * length, 4 * bend * at**2), angle=turn)
        halves = [middle.at([(0, 0), (sign * reach, 0)]) for sign in (-1, 1)]
        _lay_arms(c, halves, float(c.pick((7.0, 9.0, 14.0))))


def _pave_deck(c: Canvas, axis: Points, deck: Region, width: float) -> None:
    """Draw the deck of a viaduct: edge beams, two carriageways, joints above the pillars, and traffic."""
    concrete = c.jitter(blend(CONCRETE, WHITE, 0.25), 0.03)
    c.fill(deck, concrete, 0.012)
    step = np.gradient(axis, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / np.hypot(*step.T)[:, None]
    asphalt = c.jitter(ASPHALT, 0.02)
    for side in (-0.235, 0.235):
        lane = axis + side * width * normal
        c.line(lane, width * 0.38, asphalt, 1.0, deck)
        dashes = [lane[k : k + 2] for k in range(0, len(lane) - 1, 2)]
        if width > 9:
            c.fill(c.without(c.strokes(dashes, max(1.0, c.px(0.3))), ~c.mask_of(deck)), WHITE, 0.0, 0.6)
    for side in (-0.49, 0.49):
        c.line(axis + side * width * normal, max(0.8, c.px(0.7)), blend(concrete, (0, 0, 0), 0.3), 0.8, deck)
    for k in range(4, 57, 5):
        joint = np.stack([axis[k] - 0.5 * width * normal[k], axis[k] + 0.5 * width * normal[k]])
        c.line(joint, max(0.8, c.px(0.6)), blend(concrete, (0, 0, 0), 0.35), 0.7, deck)
    if c.gsd < 2.5:
        for _ in range(int(c.rng.integers(4, 12))):
            k = int(c.rng.integers(2, len(axis) - 2))
            x, y = axis[k] + c.pick((-0.32, -0.16, 0.16, 0.32)) * width * normal[k]
            draw_car(c, Spot(float(x), float(y), 2, float(np.arctan2(step[k, 1], step[k, 0]))), on_reserved=True)
