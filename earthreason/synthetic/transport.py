"""Draw transport: runways, helipads, railways, train stations and parking lots.

`shores` describes the interface of a painter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from earthreason.synthetic.canvas import Canvas
from earthreason.synthetic.colours import CARS, CONCRETE, WHITE, Palette, blend, rgb
from earthreason.synthetic.shapes import Plot, Points, Spot, closed
from earthreason.synthetic.terrain import draw_building


def airport_runway(c: Canvas, p: Palette, spot: Spot) -> None:
    length = 2 * spot.radius * 0.96
    width = max(10.0, c.px(52), length * 0.045)
    region = c.region(spot.box(length, width))
    if not c.claim("airport runway", region):
        return
    c.paint(spot.box(length * 1.03, width * 1.45), rgb("8e8b7e"), 0.02, avoid=(c.owner >= 0) | c.reserved)
    surface = c.jitter(rgb("6c6b6a"), 0.03)
    c.fill(region, surface, 0.012)
    c.paint(spot.box(length * 0.94, width * 0.3), blend(surface, (0, 0, 0), 0.16), 0.012, 0.8)
    for end in (-1, 1):  # tyre marks, threshold bars, aiming points
        c.paint(spot.box(length * 0.13, width * 0.42, end * length * 0.36), blend(surface, (0, 0, 0), 0.42), 0.02, 0.7)
        for k in range(8):
            y = (k - 3.5) * width * 0.11
            y += np.sign(y) * width * 0.02
            bar = spot.at([(end * length * 0.49, y), (end * length * 0.462, y)])
            c.line(bar, max(0.8, width * 0.055), WHITE, 0.95)
        c.line(closed(spot.box(length * 0.012, width * 0.3, end * length * 0.442)), max(0.8, width * 0.045), WHITE, 0.9)
        for y in (-0.24, 0.24):
            c.paint(spot.box(length * 0.024, width * 0.1, end * length * 0.38, y * width), WHITE, 0.0, 0.95)
    dashes = max(8, int(length / max(10.0, c.px(60))))
    for k in range(dashes):
        x = (-0.42 + 0.84 * k / dashes) * length
        c.line(spot.at([(x, 0), (x + 0.45 * length / dashes, 0)]), max(0.8, c.px(0.9), width * 0.025), WHITE, 0.9)
    for y in (-0.47, 0.47):
        c.line(spot.at([(-length / 2, y * width), (length / 2, y * width)]), max(0.8, width * 0.025), WHITE, 0.85)
    side = c.rng.choice((-1, 1)) * width * c.rng.uniform(2.4, 3.4)
    taxi = spot.at([(-0.45 * length, side), (0.45 * length, side)])
    links = [spot.at([(x * length, side), ((x + b) * length, 0)]) for x, b in ((-0.4, 0), (0.1, 0.08), (0.4, 0))]
    blocked = c.owner >= 0
    if not c.is_blocked(c.strokes([taxi, *links], width * 0.6)):
        for path in (taxi, *links):
            c.fill(c.without(c.stroke(path, width * 0.42), blocked), rgb("807e79"), 0.012)
            c.fill(c.without(c.stroke(path, max(1.0, width * 0.03)), blocked), rgb("c9ad4a"), 0.0, 0.8)
        c.reserve(c.strokes([taxi, *links], width * 0.6))


def _plane(c: Canvas, spot: Spot, metres: float) -> None:
    size = max(9.0, c.px(metres))
    fuselage = [(0.5, 0), (0.44, -0.045), (-0.4, -0.045), (-0.5, -0.01), (-0.5, 0.01), (-0.4, 0.045), (0.44, 0.045)]
    wing = np.array([(0.13, 0.03), (-0.12, 0.48), (-0.19, 0.48), (-0.07, 0.03)])
    tail = np.array([(-0.38, 0.02), (-0.49, 0.18), (-0.53, 0.18), (-0.47, 0.02)])
    sides = [shape * (1, side) for side in (-1, 1) for shape in (wing, tail)]
    parts = [spot.at(size * np.array(shape)) for shape in (fuselage, *sides)]
    for part in parts:
        c.paint(part + np.array(c.sun) * max(1.0, c.px(4)), (0.2, 0.2, 0.22), 0.0, 0.55)
    for part in parts:
        c.paint(part, rgb("f1f2f3"), 0.01)
    c.line(spot.at([(-0.38 * size, 0), (-0.52 * size, 0)]), max(1.0, size * 0.03), c.pick(CARS[3:5]), 0.9)


def airport_apron(c: Canvas, p: Palette, plot: Plot) -> None:
    width, height = plot.width, plot.height
    slab = c.jitter(rgb("b1aea6"), 0.02)
    c.fill(plot.region, slab, 0.012)
    step = max(5.0, c.px(15))
    for x in np.arange(-width / 2, width / 2, step):
        c.line(plot.at([(x, -height / 2), (x, height / 2)]), 0.7, blend(slab, (0, 0, 0), 0.3), 0.3)
    for y in np.arange(-height / 2, height / 2, step):
        c.line(plot.at([(-width / 2, y), (width / 2, y)]), 0.7, blend(slab, (0, 0, 0), 0.3), 0.3)
    c.line(plot.at([(-width / 2, 0.3 * height), (width / 2, 0.3 * height)]), max(1.0, c.px(0.8)), rgb("d1ac34"), 0.9)
    hall = plot.moved(0, -0.64 * height)
    if not c.is_blocked(c.region(hall.box(width * 0.8, height * 0.22))):
        c.claim("building", draw_building(c, hall, width * 0.8, height * 0.22, 14, rgb("c6c5c0"), flat=True))
    stands = max(2, int(width / max(14.0, c.px(58))))
    for k in range(stands):
        x = (k + 0.5 - stands / 2) * width / stands
        c.line(plot.at([(x, -0.5 * height), (x, 0.3 * height)]), max(0.8, c.px(0.5)), rgb("d1ac34"), 0.8)
        if c.rng.random() < 0.8:
            bridge = plot.at([(x + 0.02 * width, -0.52 * height), (x + 0.01 * width, -0.26 * height)])
            c.line(bridge, max(1.2, c.px(3)), rgb("8d9196"), 1.0)
            place = replace(plot.moved(x, -0.12 * height), angle=plot.angle - np.pi / 2)
            _plane(c, place, min(46.0, 0.85 * c.gsd * width / stands))
    # A short taxiway with its yellow line: a long strip would look like a runway.
    lane = plot.at([(0.36 * width, 0.5 * height), (0.36 * width, 0.8 * height)])
    taxiway = c.stroke(lane, max(3.0, c.px(24)))
    if not c.is_blocked(taxiway):
        c.fill(c.without(taxiway, c.owner >= 0), rgb("807e79"), 0.012)
        c.fill(c.without(c.stroke(lane, max(1.0, c.px(0.8))), c.owner >= 0), rgb("d1ac34"), 0.0, 0.9)
        c.reserve(taxiway)


def airport_helipad(c: Canvas, p: Palette, spot: Spot) -> None:
    size = 2 * spot.radius * 0.82
    square = c.rng.random() < 0.5
    outline = spot.box(size * 0.92, size * 0.92) if square else spot.ellipse(size, size)
    region = c.region(outline)
    if not c.claim("airport helipad", region):
        return
    path = c.stroke(spot.at([(0, 0), (1.2 * size, 0.2 * size)]), max(2.0, c.px(4)))
    if not c.is_blocked(path):
        c.fill(c.without(path, c.owner >= 0), rgb("9b968c"), 0.02)
        c.reserve(path)
    base = c.jitter(c.pick((rgb("737472"), rgb("5f7d64"), rgb("8d5a4b"), CONCRETE)), 0.02)
    c.fill(region, base, 0.015)
    c.line(closed(outline), max(1.0, 0.03 * size), blend(base, WHITE, 0.7), 0.9)
    c.line(closed(spot.ellipse(0.68 * size, 0.68 * size)), max(1.2, 0.05 * size), rgb("e9d98a"), 1.0)
    stroke = max(1.3, 0.075 * size)
    for x in (-0.13, 0.13):
        c.line(spot.at([(x * size, -0.2 * size), (x * size, 0.2 * size)]), stroke, WHITE, 1.0)
    c.line(spot.at([(-0.13 * size, 0), (0.13 * size, 0)]), stroke, WHITE, 1.0)


def railway(c: Canvas, p: Palette, spot: Spot) -> None:
    """Draw tracks across the image on a bed of ballast, with masts and a train."""
    pitch = max(3.4, c.px(4.8))
    tracks = int(c.rng.integers(2, 5))
    width = (tracks + 0.5) * pitch
    reach = 1.2 * np.hypot(c.width, c.height)
    bend = c.rng.uniform(-0.3, 0.3) * reach

    def track(offset: float, start: float = -1.0, stop: float = 1.0) -> Points:
        """Return a line beside the middle, `offset` pixels to the side, between two places from -1 to 1."""
        s = np.linspace(start, stop, max(2, int(160 * (stop - start))))
        slope = 2 * bend * s / reach
        normal = np.stack([-slope, np.ones_like(s)], axis=1) / np.sqrt(1 + slope**2)[:, None]
        return spot.at(np.stack([s * reach, bend * s**2], axis=1) + offset * normal)

    bed = c.stroke(track(0), width)
    if "railway" in c.kinds or not c.claim("railway", bed):
        return
    verge = c.without(c.stroke(track(0), width * 1.25 + c.px(6)), (c.owner >= 0) | c.reserved)
    c.fill(verge, blend(p.dry, p.grass, 0.3), 0.03, 0.8)
    ballast = c.jitter(c.pick((rgb("8a8078"), rgb("7d7167"), rgb("958d84"))), 0.02)
    c.fill(bed, ballast, 0.05)
    middles = [(k + 0.5 - tracks / 2) * pitch for k in range(tracks)]
    for y in middles:
        draw_track(c, track(y), pitch)
    steps = max(6, int(2 * reach / max(12.0, c.px(50))))
    # Masts of the overhead line stand on either side in turn, each reaching beyond the middle.
    left, far_left, far_right, right = (track(side * 0.5 * width) for side in (-1, -0.2, 0.2, 1))
    places = np.round(np.linspace(0, len(left) - 1, 2 * steps + 1)[1::2]).astype(int)
    masts = [
        np.stack([foot[i], tip[i]])
        for k, i in enumerate(places)
        for foot, tip in [(left, far_right) if k % 2 else (right, far_left)]
    ]
    c.lines([mast + np.array(c.sun) * c.px(4) for mast in masts], max(0.7, c.px(0.3)), (0.15, 0.15, 0.15), 0.45, bed)
    c.lines(masts, max(0.7, c.px(0.3)), rgb("cfd0d0"), 0.8, bed)
    if c.rng.random() < 0.7:
        wagon = 2 * c.px(9) / reach
        start = c.rng.uniform(-0.45, 0.1)
        y = c.pick(middles)
        freight = c.rng.random() < 0.6
        livery = c.pick((rgb("b23b32"), rgb("3a6aa0"), rgb("d9d9d6"), rgb("4b6b4f")))
        for k in range(int(c.rng.integers(4, 15))):
            body = track(y, start + k * wagon, start + (k + 0.9) * wagon)
            colour = c.pick((rgb("8c4a35"), rgb("6d6a63"), rgb("3f5a6e"), rgb("a08455"))) if freight and k else livery
            c.line(body + np.array(c.sun) * c.px(2.5), max(2.0, c.px(3)), (0.12, 0.12, 0.12), 0.5, bed)
            c.line(body, max(2.0, c.px(3)), c.jitter(colour, 0.02), 1.0, bed)
            c.line(body, max(0.7, c.px(0.8)), blend(colour, WHITE, 0.35), 0.8, bed)


def draw_track(c: Canvas, path: Points, pitch: float) -> None:
    """Draw sleepers and two rails along an (n, 2) path; `pitch` is the distance of parallel tracks in pixels."""
    c.line(path, max(1.6, 0.56 * pitch), rgb("6a6058"), 0.75)
    step = np.diff(path, axis=0)
    length = np.hypot(*step.T)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1) / length[:, None]
    if c.px(1.3) >= 2:  # single sleepers are visible
        along = np.concatenate([[0], np.cumsum(length)])
        places = np.arange(0, along[-1], c.px(1.3))
        which = np.clip(np.searchsorted(along, places, side="right") - 1, 0, len(step) - 1)
        at = path[which] + step[which] * ((places - along[which]) / length[which])[:, None]
        near = (np.abs(at - (c.width / 2, c.height / 2)) < (c.width, c.height)).all(axis=1)
        ends = 0.27 * pitch * normal[which]
        bars = np.stack([at - ends, at + ends], axis=1)[near]
        if len(bars):
            c.fill(c.strokes(list(bars), max(1.0, c.px(0.3))), rgb("a59a8c"), 0.02, 0.7)
    for side in (-0.16, 0.16):
        c.line(path[:-1] + side * pitch * normal, max(0.75, c.px(0.2)), rgb("d3d0ca"), 0.75)


def train_station(c: Canvas, p: Palette, spot: Spot) -> None:
    if "railway" in c.kinds:
        return
    length = 2 * spot.radius * 0.94
    pitch = max(4.0, c.px(12))
    tracks = int(c.rng.integers(4, 7))
    yard = tracks * pitch
    reach = 1.5 * np.hypot(c.width, c.height)
    rails = [(k + 0.5 - tracks / 2) * pitch for k in range(tracks)]
    hall = spot.moved(0, yard / 2 + pitch * 1.7)
    hall_size = (length * 0.46, max(6.0, pitch * 2.2))
    middles = [(y + following) / 2 for y, following in zip(rails[::2], rails[1::2], strict=False)]
    decks = [spot.box(length, pitch * 0.62, 0, y) for y in middles]
    # A roof over all tracks joins the platforms to the hall; a footbridge would be a bridge.
    shed = spot.moved(0, 0.5 * pitch)
    shed_size = (0.22 * length, yard + 2.2 * pitch)
    union = c.mask_of(*map(c.region, (*decks, hall.box(*hall_size), shed.box(*shed_size))))
    strip = c.region(spot.box(2 * reach, yard * 1.15))
    if c.is_blocked(strip) or not c.claim("train station", c.crop(union)):
        return
    ground = c.without(strip, c.owner >= 0)
    c.claim("railway", ground)
    c.fill(ground, rgb("837a70"), 0.04)
    for y in rails:
        draw_track(c, spot.at(np.linspace((-reach, y), (reach, y), 60)), c.px(4.8))
    for deck in decks:
        c.paint(deck, rgb("b5b1a8"), 0.015)
    for y in middles:
        roof = spot.box(length * 0.72, pitch * 0.55, 0, y)
        c.paint(roof + np.array(c.sun) * c.px(3), (0.2, 0.2, 0.2), 0.0, 0.45)
        c.paint(roof, c.jitter(rgb("cfd2d1"), 0.02), 0.01)
        c.line(spot.at([(-0.36 * length, y), (0.36 * length, y)]), max(0.8, c.px(0.6)), rgb("8f9494"), 0.9)
    glass = c.jitter(rgb("aebbc0"), 0.02)
    c.paint(shed.box(*shed_size), glass, 0.012)
    for x in np.linspace(-0.5, 0.5, 9):
        rib = shed.at([(x * shed_size[0], -shed_size[1] / 2), (x * shed_size[0], shed_size[1] / 2)])
        c.line(rib, max(0.8, c.px(0.8)), blend(glass, (0, 0, 0), 0.3), 0.8)
    draw_building(c, hall, *hall_size, 14, c.pick((rgb("9c6a55"), rgb("b3aca0"), rgb("8a8f94"))))
    for _ in range(int(c.rng.integers(1, 3))):
        y = rails[int(c.rng.integers(tracks))]
        start = c.rng.uniform(-0.6, 0.2) * length
        train = spot.box(length * 0.5, max(2.0, c.px(3)), start + 0.25 * length, y)
        c.paint(train, c.pick((rgb("b23b32"), rgb("3a6aa0"), rgb("dadada"))), 0.01, avoid=union)


def parking_lot(c: Canvas, p: Palette, plot: Plot) -> None:
    width, height = plot.width, plot.height
    c.fill(plot.region, c.jitter(rgb("66666a"), 0.03), 0.015)
    row = max(7.0, c.px(16))
    bay = max(2.4, c.px(2.6))
    rows = max(1, int(height * 0.96 / row))
    full = c.rng.uniform(0.35, 0.85)
    for r in range(rows):
        y = (r + 0.5 - rows / 2) * height / rows
        c.line(plot.at([(-0.46 * width, y), (0.46 * width, y)]), max(0.7, c.px(0.2)), WHITE, 0.5)
        middles = (np.arange(int(0.92 * width / bay)) + 0.5) * bay - 0.46 * width
        edges = [plot.at([(x - bay / 2, y - row * 0.3), (x - bay / 2, y + row * 0.3)]) for x in middles]
        c.lines(edges, c.px(0.18), WHITE, 0.8)
        cars = [
            plot.box(bay * 0.66, row * 0.26, x, y + side * row * 0.16)
            for x in middles
            for side in (-1, 1)
            if c.rng.random() < full
        ]
        if c.px(2) >= 1.6:
            c.fill(c.regions([car + np.array(c.sun) * c.px(1) for car in cars]), (0.15, 0.15, 0.16), 0.0, 0.6)
        colours = c.rng.integers(len(CARS), size=len(cars))
        for number, colour in enumerate(CARS):
            c.fill(c.regions([car for car, own in zip(cars, colours, strict=True) if own == number]), colour, 0.0)
        if r % 2 == 0:
            for x in np.linspace(-0.4, 0.4, 4):
                crown = plot.ellipse(max(2.0, c.px(4)), max(2.0, c.px(4)), x * width, y, 8)
                c.paint(crown, c.jitter(p.tree, 0.03), 0.03)
    c.line(closed(plot.outline), max(1.0, c.px(0.8)), rgb("b5b1a8"), 0.9)
