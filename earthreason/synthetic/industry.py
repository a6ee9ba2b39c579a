"""Draw industry and utilities: tanks, solar plants, wind turbines, substations, clarifiers, greenhouses, quarries.

`shores` describes the interface of a painter.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from earthreason.synthetic.canvas import Canvas
from earthreason.synthetic.colours import CONCRETE, WHITE, Palette, blend, rgb
from earthreason.synthetic.shapes import Plot, Spot, closed
from earthreason.synthetic.terrain import draw_building


def storage_tank(c: Canvas, p: Palette, plot: Plot) -> None:
    size = plot.width
    bund = plot.box(size * 1.3, size * 1.3)
    c.paint(bund, c.jitter(rgb("9b8f7c"), 0.02), 0.03)
    c.line(closed(bund), max(1.0, c.px(2)), rgb("c1b8a4"), 0.9)
    c.shade(plot.outline, 16, 0.42)
    wall = c.jitter(c.pick((WHITE, rgb("cfd0cc"), rgb("b7a98f"), rgb("d9ddda"))), 0.03)
    c.fill(plot.region, blend(wall, (0, 0, 0), 0.25), 0.005)
    roof = replace(plot, x=plot.x - c.sun[0] * size * 0.015, y=plot.y - c.sun[1] * size * 0.015)
    c.paint(roof.ellipse(size * 0.95, size * 0.95), wall, 0.008)
    if c.rng.random() < 0.5:  # a floating roof, which the wall shades
        c.paint(roof.ellipse(size * 0.86, size * 0.86), blend(wall, (0, 0, 0), 0.42), 0.01)
        inner = Spot(plot.x + c.sun[0] * size * 0.05, plot.y + c.sun[1] * size * 0.05, plot.radius, 0)
        c.paint(inner.ellipse(size * 0.76, size * 0.76), blend(wall, (0, 0, 0), 0.12), 0.01)
    else:
        c.paint(roof.ellipse(size * 0.12, size * 0.12), blend(wall, (0, 0, 0), 0.3), 0.0)
        for t in np.linspace(0, np.pi, 6, endpoint=False):
            beam = replace(roof, angle=t).at([(-0.46 * size, 0), (0.46 * size, 0)])
            c.line(beam, c.px(0.4), (0.5, 0.5, 0.5), 0.35)
    c.line(plot.at([(0, size / 2), (size * 0.2, size * 0.62)]), max(1.0, c.px(1.2)), rgb("6f6a60"), 0.9)  # stairs


def solar_power_plant(c: Canvas, p: Palette, plot: Plot) -> None:
    width, height = plot.width, plot.height
    c.fill(plot.region, c.jitter(blend(p.dry, p.grass, 0.3), 0.02), 0.025)
    panel = c.jitter(rgb("27344f"), 0.02)
    pitch = max(3.0, c.px(9))
    rows = max(2, int(height * 0.94 / pitch))
    for block in (-0.245, 0.245):
        for k in range(rows):
            y = (k + 0.5 - rows / 2) * pitch
            row = plot.box(width * 0.455, pitch * 0.62, block * width, y)
            c.paint(row + np.array(c.sun) * pitch * 0.13, (0.18, 0.17, 0.14), 0.0, 0.6)
            c.paint(row, panel, 0.012)
            c.line(row[:2], max(0.6, c.px(0.4)), rgb("8f9db8"), 0.55)
    c.line(plot.at([(0, -height / 2), (0, height / 2)]), max(1.5, c.px(5)), rgb("b5a78b"), 0.9)
    c.line(closed(plot.outline), max(1.0, c.px(2)), rgb("bcae92"), 0.8)
    draw_building(c, plot.moved(0, height * 0.44), max(3.0, c.px(12)), max(2.0, c.px(6)), 3, WHITE)


def wind_turbine(c: Canvas, p: Palette, spot: Spot) -> None:
    reach = spot.radius
    pad = spot.ellipse(0.42 * reach, 0.42 * reach, -0.55 * reach, 0)
    thick = max(1.6, 0.045 * reach)
    tower = foot, hub = spot.at([(-0.55 * reach, 0), (0.12 * reach, 0)])
    turn = c.rng.uniform(0, 2 * np.pi)
    blades = []
    for k in range(3):
        a = turn + 2 * np.pi * k / 3
        tip = hub + 0.82 * reach * np.array([np.cos(a), np.sin(a)]) * np.array([1.0, 0.9])
        side = np.array([-np.sin(a), np.cos(a)]) * thick * 0.8
        blades.append(np.stack([hub - side * 0.5, hub + 0.25 * (tip - hub) + side * 0.9, tip, hub + side * 0.3]))
    # A blade is thinner than a pixel at its tip; a stroke along it avoids gaps.
    spines = [c.stroke(np.stack([hub, blade[2]]), max(1.0, thick * 0.5)) for blade in blades]
    union = c.mask_of(c.region(pad), c.stroke(tower, thick * 1.3), *map(c.region, blades), *spines)
    if not c.claim("wind turbine", c.crop(union)):
        return
    c.paint(pad, c.jitter(rgb("c2b291"), 0.02), 0.02)
    way = c.rng.uniform(0, 2 * np.pi)
    track = c.stroke(foot + reach * np.array([(0, 0), (np.cos(way), np.sin(way))]), max(1.5, c.px(5)))
    if not c.is_blocked(track):
        c.fill(c.without(track, union), rgb("b7a582"), 0.02, 0.9)
        c.reserve(track)
    offset = np.array(c.sun) * reach * 0.9
    c.fill(c.without(c.stroke(np.stack([foot, foot + offset]), thick), union), (0.12, 0.13, 0.12), 0.0, 0.5)
    for blade in blades:
        c.paint((blade - hub) * 0.9 + foot + offset, (0.12, 0.13, 0.12), 0.0, 0.5, avoid=union)
    c.line(tower, thick * 1.3, rgb("d7d9d8"), 1.0)
    c.line(tower + np.array(c.sun) * thick * 0.35, thick * 0.5, rgb("9fa2a3"), 0.9)
    for blade in blades:
        c.paint(blade, WHITE, 0.0)
        c.line(np.stack([hub, blade[2]]), max(1.0, thick * 0.5), WHITE, 1.0)
    c.paint(Spot(hub[0], hub[1], 1, 0).ellipse(thick * 2, thick * 2), rgb("f4f4f2"), 0.0)


def substation(c: Canvas, p: Palette, plot: Plot) -> None:
    width, height = plot.width, plot.height
    c.fill(plot.region, c.jitter(rgb("b3aea3"), 0.02), 0.045)
    for row in (-0.34, -0.12, 0.32):  # bus bars on gantries, with thin shadows
        y = row * height
        posts = [
            plot.at([(k * width, y - 0.07 * height), (k * width, y + 0.07 * height)])
            for k in np.linspace(-0.44, 0.44, 9)
        ]
        bars = [
            plot.at([(-0.45 * width, y + shift * height), (0.45 * width, y + shift * height)])
            for shift in (-0.05, 0, 0.05)
        ]
        fall = np.array(c.sun) * c.px(5)
        c.lines([post + fall for post in posts], max(1.0, c.px(0.9)), (0.2, 0.2, 0.2), 0.6)
        c.lines(posts, max(1.0, c.px(0.9)), rgb("d9dadb"), 0.95)
        c.lines([bar + fall for bar in bars], c.px(0.5), (0.25, 0.25, 0.25), 0.5)
        c.lines(bars, max(0.7, c.px(0.5)), rgb("e3e4e4"), 0.8)
    for k in np.linspace(-0.33, 0.33, int(c.rng.integers(3, 5))):
        c.paint(plot.box(0.15 * width, 0.17 * height, k * width, 0.1 * height), rgb("8b867b"), 0.02)
        body = plot.box(0.085 * width, 0.1 * height, k * width, 0.1 * height)
        c.shade(body, 7)
        c.paint(body, rgb("5f6b6a"), 0.01)
        for fin in (-0.06, 0.06):
            c.paint(plot.box(0.018 * width, 0.1 * height, (k + fin) * width, 0.1 * height), rgb("d4d6d4"), 0.0)
        for dx in (-0.02, 0, 0.02):
            c.paint(plot.ellipse(0.012 * width, 0.012 * width, (k + dx) * width, 0.08 * height), WHITE, 0)
    c.line(closed(plot.outline), max(1.0, c.px(1)), rgb("6b665c"), 0.9)
    gate = plot.moved(0.34 * width, 0.41 * height)
    draw_building(c, gate, 0.16 * width, 0.09 * height, 4, rgb("c3bdb0"), flat=True)


def wastewater_plant(c: Canvas, p: Palette, plot: Plot) -> None:
    width, height = plot.width, plot.height
    c.fill(plot.region, c.jitter(blend(p.grass, rgb("7d9a5a"), 0.4), 0.02), 0.02)
    for y in (-0.02, 0.46):
        c.line(plot.at([(-0.48 * width, y * height), (0.48 * width, y * height)]), max(1.5, c.px(5)), CONCRETE, 1.0)
    size = 0.27 * width
    for k in (-0.32, 0.0, 0.32):
        tank = plot.moved(k * width, -0.25 * height)
        c.shade(tank.ellipse(size, size), 3)
        c.paint(tank.ellipse(size, size), rgb("c4c1b8"), 0.01)
        water = c.jitter(rgb("57604a"), 0.03)
        c.paint(tank.ellipse(size * 0.88, size * 0.88), water, 0.015)
        c.paint(tank.ellipse(size * 0.62, size * 0.62), blend(water, (0, 0, 0), 0.15), 0.015)
        arm = replace(tank, angle=c.rng.uniform(0, np.pi)).at([(0, 0), (0.46 * size if k else -0.46 * size, 0)])
        c.line(arm, max(1.2, c.px(1.4)), rgb("d6d6d1"), 1.0)
        c.paint(tank.ellipse(size * 0.14, size * 0.14), rgb("d9d8d2"), 0.0)
    for k in (-0.3, 0.06):
        c.paint(plot.box(0.32 * width, 0.34 * height, k * width, 0.22 * height), rgb("c4c1b8"), 0.01)
        for lane in range(4):
            y = 0.22 + (lane - 1.5) * 0.082
            colour = c.jitter(rgb("6d6147" if k < 0 else "515c4e"), 0.03)
            c.paint(plot.box(0.3 * width, 0.062 * height, k * width, y * height), colour, 0.03)
    draw_building(c, plot.moved(0.37 * width, 0.22 * height), 0.15 * width, 0.26 * height, 7, flat=True)


def greenhouse(c: Canvas, p: Palette, plot: Plot) -> None:
    width, height = plot.width, plot.height
    c.shade(plot.outline, 5)
    film = c.jitter(c.pick((rgb("dfe4e3"), rgb("cfd9d8"), rgb("e6e3da"))), 0.02)
    c.fill(plot.region, rgb("8d8873"), 0.02)
    spans = max(3, int(height / max(4.0, c.px(9))))
    pitch = height / spans
    for k in range(spans):
        y = (k + 0.5) * pitch - height / 2
        c.paint(plot.box(width * 0.985, pitch * 0.86, 0, y), c.jitter(film, 0.02), 0.015)
        lit = plot.box(width * 0.985, pitch * 0.36, 0, y + 0.24 * pitch)
        c.paint(lit, blend(film, rgb("6f8f86"), 0.45), 0.015)
        c.line(plot.at([(-0.49 * width, y), (0.49 * width, y)]), max(0.8, c.px(0.5)), WHITE, 0.9)
    for x in np.linspace(-0.5, 0.5, max(4, int(width / max(6.0, c.px(14)))))[1:-1]:
        c.line(plot.at([(x * width, -height / 2), (x * width, height / 2)]), c.px(0.5), rgb("9aa7a4"), 0.5)


def quarry(c: Canvas, p: Palette, plot: Plot) -> None:
    rock = c.jitter(c.pick((rgb("c3ae88"), rgb("b9b1a2"), rgb("c79f74"))), 0.03)
    c.fill(plot.region, rock, 0.04)
    centre = np.array([plot.x, plot.y])
    floor = plot.moved(0.12 * plot.radius, 0.05 * plot.radius)
    down = (floor.x, floor.y) - centre
    for k in range(1, 6):
        bench = (plot.outline - centre) * (1 - 0.13 * k) + centre + down * k / 5
        bench = bench + c.rng.normal(0, 0.012 * plot.radius, bench.shape)
        # Each bench has a dark face on the sun's side and a bright one on the other.
        c.paint(bench, blend(rock, (0, 0, 0), 0.32), 0.03)
        lit = bench + np.array(c.sun) * max(1.0, 0.022 * plot.radius)
        c.paint(lit, blend(rock, WHITE, 0.04 * k if k % 2 else 0.12), 0.04)
    spiral = np.linspace(0, 1.6 * np.pi, 40)
    radius = np.linspace(0.9, 0.3, 40) * plot.radius
    road = centre + np.stack([radius * np.cos(spiral), radius * np.sin(spiral) / 1.15], axis=1)
    c.line(road, max(1.5, c.px(11)), blend(rock, WHITE, 0.35), 0.75, plot.region)
    for _ in range(12):
        away = c.rng.uniform(0, 0.3) * plot.radius
        around = c.rng.uniform(0, 6.3)
        heap = Spot(floor.x + away * np.cos(around), floor.y + away * np.sin(around), 0.05 * plot.radius, 0)
        shape = c.blob(heap, 0.2, points=14)
        c.shade(shape, 6, 0.6)
        c.paint(shape, blend(rock, WHITE, 0.3), 0.03)
