"""Draw sports grounds: courts, fields, tracks, stadiums, swimming pools and golf courses.

`shores` describes the interface of a painter.
"""

from __future__ import annotations

import numpy as np

from earthreason.synthetic.canvas import Canvas
from earthreason.synthetic.colours import COURTS, WHITE, Colour, Palette, blend, rgb
from earthreason.synthetic.shapes import Plot, Points, Spot, closed
from earthreason.synthetic.terrain import canopy, draw_building

TURF = rgb("4f8a3f")


def _mown_turf(c: Canvas, spot: Spot, outline: Points, width: float, height: float, stripes: int = 10) -> None:
    """Draw grass with the light and dark bands of mowing; width and height are in pixels."""
    region = c.region(outline)
    green = c.jitter(TURF, 0.03)
    c.fill(region, green, 0.015)
    outside = ~c.mask_of(region)
    for k in range(0, stripes, 2):
        band = spot.box(width / stripes, height, -width / 2 + (k + 0.5) * width / stripes)
        c.paint(band, blend(green, WHITE, 0.09), 0.015, avoid=outside)


def _pitch_lines(c: Canvas, spot: Spot, width: float, height: float) -> None:
    line = c.px(0.4)
    c.line(closed(spot.box(width, height)), line, WHITE, 0.85)
    c.line(spot.at([(0, -height / 2), (0, height / 2)]), line, WHITE, 0.85)
    c.line(closed(spot.ellipse(0.17 * width, 0.17 * width)), line, WHITE, 0.8)
    for side in (-1, 1):
        c.line(closed(spot.box(0.16 * width, 0.6 * height, side * 0.42 * width)), line, WHITE, 0.8)


def ground_track_field(c: Canvas, p: Palette, plot: Plot) -> None:
    length, width = plot.width, plot.height
    c.fill(plot.region, c.jitter(rgb("a4513a"), 0.03), 0.015)
    for lane in range(1, 8):
        shrink = lane * length * 0.0072
        c.line(closed(plot.oval(length - 2 * shrink, width - 2 * shrink)), c.px(0.3), WHITE, 0.55)
    inner_length, inner_width = length * 0.87, width * 0.76
    _mown_turf(c, plot, plot.oval(inner_length, inner_width), inner_length, inner_width, 12)
    _pitch_lines(c, plot, inner_length * 0.66, inner_width * 0.86)
    c.paint(plot.ellipse(length * 0.06, width * 0.4, inner_length * 0.41, 0), rgb("a4513a"), 0.01)


def stadium(c: Canvas, p: Palette, plot: Plot) -> None:
    length, width = plot.width, plot.height
    c.shade(plot.outline, 32)
    roof = c.jitter(c.pick((rgb("c9c9c6"), rgb("9aa0a6"), rgb("bdb6aa"))), 0.03)
    for share, colour in ((1.0, roof), (0.95, blend(roof, (0, 0, 0), 0.12)), (0.9, blend(roof, WHITE, 0.25))):
        c.paint(plot.ellipse(length * share, width * share, points=64), colour, 0.015)
    seats = c.jitter(c.pick((rgb("4c5f86"), rgb("8b8b86"), rgb("5d6d58"), rgb("b3a24a"))), 0.03)
    for k, share in enumerate(np.linspace(0.78, 0.6, 7)):
        colour = blend(seats, (0, 0, 0), 0.16 * (k % 2) + 0.02 * k)
        c.paint(plot.ellipse(length * share, width * share, points=64), colour, 0.03)
    for t in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        ends = [(r * length / 2 * np.cos(t), r * width / 2 * np.sin(t)) for r in (0.6, 0.98)]
        c.line(plot.at(ends), max(1.0, c.px(1.2)), blend(roof, (0, 0, 0), 0.35), 0.7)
    field = plot.ellipse(length * 0.58, width * 0.56, points=48)
    _mown_turf(c, plot, field, length * 0.58, width * 0.56)
    _pitch_lines(c, plot, length * 0.44, width * 0.36)


def baseball_field(c: Canvas, p: Palette, spot: Spot) -> None:
    reach = 2 * spot.radius * 0.92
    home = spot.moved(-spot.radius * 0.8, 0)

    def fan(radius: float, half: float) -> Points:
        t = np.linspace(-half, half, 28)
        return home.at([(-radius * 0.03, 0), *np.stack([radius * np.cos(t), radius * np.sin(t)], axis=1)])

    region = c.region(fan(reach, np.pi / 4))
    if not c.claim("baseball field", region):
        return
    dirt = c.jitter(rgb("b98d63"), 0.03)
    c.fill(region, blend(dirt, rgb("7d7a55"), 0.35), 0.02)
    green = c.jitter(TURF, 0.03)
    c.paint(fan(reach * 0.95, np.pi / 4 - 0.02), green, 0.02)
    for share in (0.9, 0.74, 0.58):
        c.paint(fan(reach * share, np.pi / 4 - 0.03), blend(green, WHITE, 0.09 if share == 0.74 else 0), 0.02)
    c.paint(fan(reach * 0.43, np.pi / 4), dirt, 0.025)
    half = reach * 0.25 / np.sqrt(2)
    c.paint(home.at([(0.03 * reach, 0), (half, -half), (2 * half - 0.03 * reach, 0), (half, half)]), green, 0.02)
    c.paint(home.ellipse(0.05 * reach, 0.05 * reach, half), dirt, 0.02)
    c.paint(home.ellipse(0.1 * reach, 0.1 * reach), dirt, 0.02)
    for sign in (-1, 1):
        edge = home.at([(0, 0), (reach * 0.95 * np.cos(np.pi / 4), sign * reach * 0.95 * np.sin(np.pi / 4))])
        c.line(edge, c.px(0.4), WHITE, 0.9)
    for x, y in ((half, -half), (2 * half, 0), (half, half), (0, 0)):
        c.paint(home.box(max(1.5, c.px(1.2)), max(1.5, c.px(1.2)), x, y), WHITE, 0)


def _court(c: Canvas, plot: Plot, outline: Points, floor: Colour, surround: Colour, line: float) -> None:
    """Draw the surround of a court, its floor and the line around the floor, `line` pixels wide."""
    c.fill(plot.region, surround, 0.012)
    c.paint(outline, floor, 0.01)
    c.line(closed(outline), line, WHITE, 0.95)


def basketball_court(c: Canvas, p: Palette, plot: Plot) -> None:
    width, height = plot.width / 1.25, plot.height / 1.25
    line = max(c.px(0.15), 0.6)
    floor, surround = c.pick(COURTS["basketball"])
    _court(c, plot, plot.box(width, height), c.jitter(floor, 0.02), c.jitter(surround, 0.02), line)
    c.line(plot.at([(0, -height / 2), (0, height / 2)]), line, WHITE, 0.9)
    c.line(closed(plot.ellipse(0.13 * width, 0.13 * width)), line, WHITE, 0.9)
    for side in (-1, 1):
        key = plot.box(0.21 * width, 0.33 * height, side * 0.395 * width)
        c.paint(key, blend(floor, (0, 0, 0), 0.3), 0.01)
        c.line(closed(key), line, WHITE, 0.9)
        t = np.linspace(-np.pi / 2, np.pi / 2, 20)
        arc = [(side * (0.47 * width - 0.24 * width * np.cos(a)), 0.45 * height * np.sin(a)) for a in t]
        c.line(plot.at(arc), line, WHITE, 0.9)


def tennis_court(c: Canvas, p: Palette, plot: Plot) -> None:
    width, height = plot.width / 1.5, plot.height / 1.6
    line = max(c.px(0.12), 0.6)
    surround, floor = (c.jitter(colour, 0.02) for colour in c.pick(COURTS["tennis"]))
    _court(c, plot, plot.box(width, height), floor, surround, line)
    for side in (-0.375 * height, 0.375 * height):
        c.line(plot.at([(-width / 2, side), (width / 2, side)]), line, WHITE, 0.9)
    for service in (-0.27 * width, 0.27 * width):
        c.line(plot.at([(service, -0.375 * height), (service, 0.375 * height)]), line, WHITE, 0.9)
    c.line(plot.at([(-0.27 * width, 0), (0.27 * width, 0)]), line, WHITE, 0.9)
    net = plot.at([(0, -0.58 * height), (0, 0.58 * height)])
    c.line(net + np.array(c.sun) * 0.8, max(1.0, c.px(0.3)), (0.15, 0.15, 0.15), 0.7)
    c.line(net, max(0.8, c.px(0.15)), WHITE, 0.8)


def swimming_pool(c: Canvas, p: Palette, spot: Spot) -> None:
    length = 2 * spot.radius * 0.78
    width = length * c.rng.uniform(0.45, 0.6)
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    bend = 1 - 0.32 * np.exp(-(((t - np.pi / 2) / 0.6) ** 2))
    kidney = spot.at(np.stack([length / 2 * np.cos(t) * bend**0.3, width / 2 * np.sin(t) * bend], axis=1))
    shape = int(c.rng.integers(3))
    outline = (spot.box(length, width), spot.ellipse(length, width), kidney)[shape]
    region = c.region(outline)
    if not c.claim("swimming pool", region):
        return
    c.paint(spot.box(length * 1.28, width * 1.5), c.jitter(rgb("d3cab8"), 0.03), 0.02)
    c.fill(region, WHITE, 0.0)
    water = c.jitter(rgb("4fb6c9"), 0.03)
    c.paint((outline - (spot.x, spot.y)) * 0.93 + (spot.x, spot.y), water, 0.015)
    deep = (outline - (spot.x, spot.y)) * 0.55 + spot.at([(length * 0.14, 0)])[0]
    c.paint(deep, blend(water, rgb("2b86a8"), 0.6), 0.015, 0.6)
    if shape == 0 and length > 18:
        for k in (-0.25, 0, 0.25):
            c.line(spot.at([(-0.44 * length, k * width), (0.44 * length, k * width)]), c.px(0.25), rgb("2d6d8a"), 0.7)


def golf_course(c: Canvas, p: Palette, plot: Plot) -> None:
    c.fill(plot.region, c.jitter(blend(rgb("54743a"), p.grass, 0.3), 0.02), 0.02)
    outside = ~c.mask_of(plot.region)
    canopy(c, c.crop(~outside & (c.noise(plot.radius / 3, 3) > 0.64)), p, max(2.0, c.px(8)))
    light = blend(rgb("7fae52"), WHITE, 0.05)
    count = int(c.rng.integers(5, 8))
    for k, lane in enumerate(np.linspace(-0.68, 0.68, count)):
        half = 0.78 * np.sqrt(max(1 - lane**2, 0.05)) * plot.radius
        t = np.linspace(-1, 1, 14)
        bend = c.rng.uniform(-0.1, 0.1) * plot.radius
        path = plot.at(np.stack([t * half * 0.84, lane * plot.radius * 0.86 + bend * (1 - t**2)], axis=1))
        width = plot.radius * 1.1 / count
        c.fill(c.without(c.stroke(path, width * 0.85), outside), c.jitter(light, 0.02), 0.015)
        end = path[-1] if k % 2 else path[0]
        green = Spot(end[0], end[1], width * 0.5, 0)
        c.paint(c.blob(green, 0.1), rgb("a5d07c"), 0.008, avoid=outside)
        for _ in range(int(c.rng.integers(2, 5))):
            around = c.rng.uniform(0, 6.3)
            away = width * c.rng.uniform(0.65, 0.95)
            bunker = Spot(end[0] + away * np.cos(around), end[1] + away * np.sin(around), width * 0.24, around)
            c.paint(c.blob(bunker, 0.3, 1.5), rgb("dccfa6"), 0.015, avoid=outside)
    if c.px(40) >= 5:
        draw_building(c, plot.moved(0, -0.9 * plot.radius), c.px(45), c.px(22), 6)
