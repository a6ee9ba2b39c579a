"""Draw churches and factories.

`shores` describes the interface of a painter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from earthreason.synthetic.canvas import Canvas
from earthreason.synthetic.colours import CARS, CONCRETE, WHITE, Colour, Palette, blend, rgb
from earthreason.synthetic.shapes import Plot, Region, Spot, closed
from earthreason.synthetic.terrain import draw_building

SLATE, TILE, COPPER = rgb("757a83"), rgb("a65f48"), rgb("78a592")


def church(c: Canvas, p: Palette, spot: Spot) -> None:
    """Draw a church in its yard: a nave with transepts in the form of a cross, an apse, and one tower or two."""
    length = 2 * spot.radius * 0.92
    nave = length * c.rng.uniform(0.24, 0.3)
    arms = length * c.rng.uniform(0.54, 0.68)
    at = length * c.rng.uniform(0.1, 0.18)  # of the crossing
    twin = c.rng.random() < 0.25
    tower = nave * (0.62 if twin else c.rng.uniform(0.8, 1.0))
    west = -length / 2 + tower / 2
    towers = [spot.moved(west, side * nave * 0.52) for side in ((-1, 1) if twin else (0,))]
    apse = spot.moved(length / 2 - nave * 0.4, 0)
    body = (
        length - nave * 0.4 - tower * 0.6,
        nave,
        -length / 2 + tower * 0.6 + (length - nave * 0.4 - tower * 0.6) / 2,
    )
    outlines = [
        spot.box(body[0], body[1], body[2]),
        spot.box(nave * 0.86, arms, at),
        apse.ellipse(nave * 0.8, nave * 0.8),
        *(place.box(tower, tower) for place in towers),
    ]
    region = c.crop(c.mask_of(*map(c.region, outlines)))
    yard = spot.box(length * 1.5, arms * 1.5)
    ground = c.without(c.region(yard), c.owner >= 0)
    if not c.claim("church", region):
        return
    _churchyard(c, p, spot, c.without(ground, c.taken()), length, arms)
    c.reserve(c.region(yard))
    roof = c.jitter(c.pick((SLATE, TILE, blend(TILE, SLATE, 0.5), COPPER)), 0.03)
    wall = c.jitter(c.pick((rgb("cfc4ad"), rgb("b6a68c"), rgb("d9d4c8"))), 0.02)
    for outline, metres in zip(outlines, (15, 15, 11, 34, 34), strict=False):
        c.shade(outline, metres)
    c.paint(outlines[2], blend(roof, WHITE, 0.06), 0.012)
    for k in np.linspace(-1.2, 1.2, 5):  # ribs of the apse roof
        rim = (nave * 0.4 * np.cos(k), nave * 0.4 * np.sin(k))
        c.line(apse.at([(0, 0), rim]), max(0.7, c.px(0.3)), blend(roof, (0, 0, 0), 0.3), 0.6)
    _gable(c, spot.moved(at, 0), arms, nave * 0.86, roof, wall, np.pi / 2)
    _gable(c, spot.moved(body[2], 0), body[0], nave, roof, wall)
    if c.rng.random() < 0.3:
        dome = spot.moved(at, 0)
        c.paint(dome.ellipse(nave * 0.62, nave * 0.62), blend(COPPER, roof, 0.3), 0.012)
        bright = replace(dome, x=dome.x - c.sun[0] * nave * 0.1, y=dome.y - c.sun[1] * nave * 0.1)
        c.paint(bright.ellipse(nave * 0.3, nave * 0.3), blend(COPPER, WHITE, 0.4), 0.01)
    top = c.jitter(c.pick((roof, SLATE, COPPER)), 0.02)
    for place in towers:
        _tower(c, place, tower, wall, top)


def _churchyard(c: Canvas, p: Palette, spot: Spot, ground: Region, length: float, arms: float) -> None:
    """Draw the lawn around a church, with a path to its door, graves and trees."""
    lawn = c.jitter(blend(p.grass, rgb("5f8a45"), 0.4), 0.02)
    c.fill(ground, lawn, 0.03)
    inside = ~c.mask_of(ground)
    path = c.stroke(spot.at([(-0.74 * length, 0), (-0.5 * length, 0)]), max(1.5, c.px(3.5)))
    c.fill(c.without(path, inside), rgb("c3b89f"), 0.02)
    c.line(closed(spot.box(length * 1.48, arms * 1.48)), max(1.0, c.px(0.7)), rgb("9c9484"), 0.9, ground)
    if c.px(2) >= 1.6:
        rows, columns = np.meshgrid(np.linspace(-0.66, 0.66, 9), np.linspace(-0.68, 0.68, 22))
        places = np.stack([columns.ravel() * length, rows.ravel() * arms], axis=1)
        places = places[c.rng.random(len(places)) < 0.55] + c.rng.normal(0, 0.02 * arms, 2)
        half = np.array([0.0, c.px(0.9)])
        stones = np.stack([spot.at(places - half), spot.at(places + half)], axis=1)
        for shift, colour, opacity in ((c.px(0.7), (0.2, 0.2, 0.2), 0.5), (0.0, rgb("b9b6ae"), 1.0)):
            drawn = c.strokes(list(stones + np.array(c.sun) * shift), max(1.0, c.px(0.8)))
            c.fill(c.without(drawn, inside), colour, 0.05, opacity)
    for _ in range(int(c.rng.integers(5, 12))):
        side = c.pick(((0.68, c.rng.uniform(-0.68, 0.68)), (c.rng.uniform(-0.68, 0.68), 0.68)))
        x, y = (c.pick((-1, 1)) * side[0] * length, c.pick((-1, 1)) * side[1] * arms)
        crown = spot.moved(x, y).ellipse(max(3.0, c.px(7)), max(3.0, c.px(7)), points=10)
        c.shade(crown, 8, 0.6)
        c.paint(crown, c.jitter(p.tree, 0.05), 0.06, avoid=inside)


def _gable(c: Canvas, spot: Spot, length: float, width: float, roof: Colour, wall: Colour, turn: float = 0.0) -> None:
    """Draw a gabled roof of `length` x `width` pixels whose ridge is turned by `turn` against the spot."""
    ridge = replace(spot, angle=spot.angle + turn)
    c.paint(ridge.box(length, width), wall, 0.01)
    side = ridge.at([(0, 1)])[0] - (ridge.x, ridge.y)
    facing = -(side[0] * c.sun[0] + side[1] * c.sun[1])
    for sign in (-1, 1):
        light = 0.3 * facing * sign
        half = ridge.box(length * 0.98, width * 0.46, 0, sign * width * 0.235)
        c.paint(half, blend(roof, WHITE if light > 0 else (0, 0, 0), abs(light) + 0.02), 0.014)
        if c.px(3) >= 6:
            seams = [ridge.at([(x, 0), (x, sign * width * 0.46)]) for x in np.arange(-length / 2, length / 2, c.px(4))]
            c.fill(c.strokes(seams, 1), blend(roof, (0, 0, 0), 0.4), 0.0, 0.25)
    c.line(ridge.at([(-length / 2, 0), (length / 2, 0)]), max(0.8, c.px(0.5)), blend(roof, WHITE, 0.35), 0.8)


def _tower(c: Canvas, spot: Spot, size: float, wall: Colour, top: Colour) -> None:
    """Draw a square tower with a spire, whose four sides differ in brightness."""
    outline = spot.box(size, size)
    c.shade(outline, 9, 0.7)
    steeple = np.array([(spot.x, spot.y)]) + np.array(c.sun) * min(52 * c.shadow_length, 1.6 * spot.radius)
    c.paint(np.concatenate([outline[[0, 2]], steeple]), (0.1, 0.1, 0.12), 0.0, 0.35, avoid=c.owner >= 0)
    c.paint(outline, wall, 0.01)
    corners = spot.box(size * 0.84, size * 0.84)
    for k in range(4):
        side = np.stack([corners[k], corners[(k + 1) % 4], (spot.x, spot.y)])
        away = (corners[k] + corners[(k + 1) % 4]) / 2 - (spot.x, spot.y)
        light = -float(away @ np.array(c.sun)) / float(np.hypot(*away)) * 0.4
        c.paint(side, blend(top, WHITE if light > 0 else (0, 0, 0), abs(light)), 0.01)
    knob = max(1.6, size * 0.08)
    c.paint(spot.ellipse(knob, knob, points=8), rgb("e3c96a"), 0.0)


def factory(c: Canvas, p: Palette, plot: Plot) -> None:
    """Draw a fenced site: a hall with a saw-tooth roof, a flat hall, chimneys, pipes and a loading yard.

    It has no tanks, because round tanks beside it would also be answers to questions about storage tanks.
    """
    width, height = plot.width, plot.height
    c.fill(plot.region, c.jitter(rgb("8f8a82"), 0.03), 0.03)
    c.line(closed(plot.outline), max(1.0, c.px(0.9)), rgb("c9c4b8"), 0.9)
    c.line(
        plot.at([(-0.47 * width, 0.03 * height), (0.47 * width, 0.03 * height)]), max(2.0, c.px(9)), rgb("716f6d"), 1.0
    )
    _saw_tooth_hall(c, plot.moved(-0.13 * width, -0.24 * height), 0.66 * width, 0.42 * height)
    flat = plot.moved(0.16 * width, 0.28 * height)
    colour = c.pick((rgb("b8b4aa"), rgb("8f9aa3"), rgb("a98f7a")))
    draw_building(c, flat, 0.58 * width, 0.34 * height, 12, colour, flat=True)
    for k in np.linspace(-0.24, 0.24, 7):  # ventilators in a row
        vent = flat.ellipse(0.022 * width, 0.022 * width, k * width, -0.08 * height, 10)
        c.shade(vent, 3)
        c.paint(vent, rgb("dcdcd8"), 0.01)
    for row in (-0.36, -0.3):  # pipes to the boiler house
        pipe = plot.at([(0.2 * width, row * height), (0.3 * width, row * height), (0.3 * width, 0.12 * height)])
        c.line(pipe + np.array(c.sun) * c.px(4), max(1.0, c.px(1.4)), (0.15, 0.15, 0.15), 0.5)
        c.line(pipe, max(1.0, c.px(1.4)), rgb("d3cfc4"), 1.0)
    boiler = plot.moved(0.36 * width, -0.2 * height)
    draw_building(c, boiler, 0.17 * width, 0.3 * height, 18, c.pick((rgb("9c6a55"), rgb("7d7672"))), flat=True)
    for k in range(int(c.rng.integers(3, 8))):
        truck = plot.box(max(3.0, c.px(13)), max(1.6, c.px(3)), (-0.42 + 0.045 * k) * width, 0.2 * height)
        turned = (truck - truck.mean(axis=0)) @ np.array([[0.0, 1.0], [-1.0, 0.0]]) + truck.mean(axis=0)
        c.shade(turned, 4)
        c.paint(turned, c.pick((WHITE, *CARS[3:5], rgb("cfd3d6"))), 0.01)
    for k in range(6):  # stacked goods
        goods = plot.box(0.05 * width, 0.045 * height, (-0.42 + 0.055 * k) * width, 0.4 * height)
        c.shade(goods, 3)
        c.paint(goods, c.jitter(c.pick((rgb("a5764f"), rgb("6f7f8c"), rgb("b7ab93"))), 0.05), 0.02)
    wind = c.rng.uniform(0, 2 * np.pi)
    for k in range(int(c.rng.integers(1, 4))):
        _chimney(c, plot.moved((0.43 - 0.07 * k) * width, -0.41 * height), max(4.0, c.px(6), 0.03 * width), wind)


def _saw_tooth_hall(c: Canvas, hall: Spot, width: float, height: float) -> None:
    """Draw a hall of `width` x `height` pixels with ridges across it: each has a steep window and a long slope."""
    c.shade(hall.box(width, height), 13)
    roof = c.jitter(c.pick((rgb("84776c"), rgb("8d8f90"), rgb("a3674f"), rgb("6f7a80"))), 0.03)
    c.paint(hall.box(width, height), blend(roof, (0, 0, 0), 0.25), 0.01)
    teeth = int(np.clip(width / max(7.0, c.px(11)), 4, 14))
    pitch = width / teeth
    for k in range(teeth):
        left = -width / 2 + k * pitch
        for part, (start, share, colour) in enumerate(
            (
                (0.0, 0.3, rgb("b9d0d8")),
                (0.3, 0.3, blend(roof, WHITE, 0.22)),
                (0.6, 0.26, roof),
                (0.86, 0.14, blend(roof, (0, 0, 0), 0.4)),
            )
        ):
            strip = hall.box(pitch * share, height * 0.96, left + (start + share / 2) * pitch)
            c.paint(strip, c.jitter(colour, 0.01 if part else 0.04), 0.012)
    for row in np.linspace(-0.48, 0.48, 9):
        c.line(hall.at([(-width / 2, row * height), (width / 2, row * height)]), c.px(0.3), (0.25, 0.25, 0.25), 0.35)


def _chimney(c: Canvas, spot: Spot, size: float, wind: float) -> None:
    """Draw a chimney `size` pixels wide with a long shadow and, often, smoke that drifts along `wind` (radians)."""
    length = min(c.rng.uniform(45, 80) * c.shadow_length, 0.35 * c.side)
    shaft = np.stack([(spot.x, spot.y), (spot.x, spot.y) + np.array(c.sun) * length])
    dark = c.stroke(shaft, size * 0.8)
    c.tint(dark, (0.45, 0.46, 0.5))
    c.paint(spot.ellipse(size * 1.5, size * 1.5), CONCRETE, 0.01)
    c.paint(spot.ellipse(size, size), c.pick((rgb("a4553f"), rgb("cfcac0"))), 0.0)
    c.paint(spot.ellipse(size * 0.55, size * 0.55), rgb("1f1d1c"), 0.0)
    if c.rng.random() < 0.6:
        for k in range(9):
            away = size * (0.5 + 0.75 * k)
            puff = Spot(spot.x + away * np.cos(wind), spot.y + away * np.sin(wind), size * (0.35 + 0.17 * k), wind)
            c.paint(c.blob(puff, 0.2, points=16), rgb("eceae6"), 0.0, 0.42 - 0.04 * k)
