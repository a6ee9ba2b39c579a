"""Compose a scene: ground, water, the main objects, their surroundings, light and sensor."""

from __future__ import annotations

import pkgutil
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from PIL import Image, ImageFilter

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.synthetic import shores, terrain
from earthreason.synthetic.canvas import Canvas
from earthreason.synthetic.categories import FEATURES, Feature
from earthreason.synthetic.colours import PALETTES, Palette
from earthreason.synthetic.scene import RenderedScene

GSD_RANGE = (0.5, 30.0)
SIDE_RANGE = (96, 4096)
_RIVER_BESIDE = 0.5
"""Share of inland scenes with several targets to which a river is added, so that one target is nearest to water."""
_TRIES = 12
_SPOTS = 4
"""Number of spots at which an object is tried."""
_VISIBLE = 16.0
"""Smallest extent in pixels at which an object is drawn, so that it can be recognized."""
_LOOK_ALIKE_SHARE = 0.6
"""Share of scenes without their category that show what resembles it, if there is room."""
_PAVED_SHARE = {"urban": 0.75, "industrial": 0.75, "suburban": 0.35}
_SEA_SHARE = {"beach": (0.3, 0.5), "sea": (0.4, 0.6), "open sea": (0.78, 0.95)}
_TOWNS = {"urban": (110, 9, 18, 55, 14), "suburban": (85, 7, 9, 17, 6)}
"""Dimensions in metres: block length, road width, smallest and largest building width, building height."""
_CROSSING = "intersection"
"""A scene about it has no other roads that cross, because each crossing would be another one."""


def render_scene(
    rng: np.random.Generator,
    category: str,
    *,
    size: tuple[int, int] = (512, 512),
    gsd: float | None = None,
    instances: int | None = None,
    include: bool = True,
    exclude: Collection[str] = (),
) -> RenderedScene:
    """Draw a scene about one category or distractor.

    Args:
        rng: source of all randomness; the same state gives the same bytes.
        category: one of `CATEGORIES` or `DISTRACTORS`.
        size: height and width in pixels.
        gsd: metres per pixel, from 0.5 to 30; None chooses one that shows the category well.
        instances: number of objects of the category, if it can repeat and there is room; None draws the number.
        include: whether to draw the category itself, or only its usual surroundings.
        exclude: other categories that must not appear.

    Returns:
        The image and every object in it; objects do not overlap.

    Raises:
        UnknownNameError: the category does not exist.
        EarthReasonError: a side is out of bounds, or the category does not fit.
    """
    if category not in FEATURES:
        raise UnknownNameError("category", category, FEATURES)
    if not all(SIDE_RANGE[0] <= side <= SIDE_RANGE[1] for side in size):
        raise EarthReasonError(f"a scene has sides from {SIDE_RANGE[0]} to {SIDE_RANGE[1]} px, not {size[0]}x{size[1]}")
    feature = FEATURES[category]
    unwanted = set(exclude) - {category} if include else {*exclude, category}
    for attempt in range(_TRIES):
        several = feature.repeat > 1 and rng.random() < 0.8
        count = min(instances or int(rng.integers(2 if several else 1, feature.repeat + 1)), feature.repeat)
        metres = rng.uniform(*feature.metres)
        # Objects shrink at each attempt, so that they fit eventually.
        extent = max(_VISIBLE, rng.uniform(*feature.share) * min(size) * 0.93**attempt / count**0.4)
        scale = round(float(np.clip(metres / extent, *GSD_RANGE)), 2) if gsd is None else gsd
        canvas = Canvas(rng, size[0], size[1], scale)
        palette = canvas.pick(PALETTES)
        setting = feature.settings[0] if rng.random() < 0.5 else str(rng.choice(feature.settings))
        _lay_ground(canvas, palette, setting)
        _lay_water_and_main(canvas, palette, feature, setting, count, unwanted, metres)
        _add_companions(canvas, palette, feature, setting, unwanted)
        with canvas.kept():
            _furnish(canvas, palette, setting, crossings=category != _CROSSING)
        scene = RenderedScene(_expose(canvas), scale, setting, canvas.objects())
        kinds = {item.kind for item in scene.objects}
        plain_crossing = category == _CROSSING and terrain.CROSSING in kinds
        if (category in kinds) == include and not kinds & unwanted and not plain_crossing:
            return scene
    raise EarthReasonError(f"no room for a {category} in {size[0]}x{size[1]} px at {gsd} m per pixel")


def _lay_ground(c: Canvas, p: Palette, setting: str) -> None:
    if setting == "farmland":
        terrain.farmland(c, p)
    elif setting in _PAVED_SHARE:
        terrain.built_ground(c, p, _PAVED_SHARE[setting])
    else:
        terrain.open_ground(c, p, 0.2 if setting == "airport" else 0.4)


def _lay_water_and_main(
    c: Canvas, p: Palette, feature: Feature, setting: str, count: int, unwanted: set[str], metres: float
) -> None:
    """Draw the water and, unless they are unwanted, the objects of the category."""
    include = feature.category not in unwanted
    sea = None
    several_inland = count > 1 and not feature.water and setting != "coast" and feature.category != "river"
    if several_inland and "river" not in unwanted and c.rng.random() < _RIVER_BESIDE:
        shores.lay_river(c, p, float(c.rng.uniform(0.05, 0.1)) * c.side * c.gsd)
    if setting == "coast":
        sea = shores.lay_sea(c, p, c.rng.uniform(*_SEA_SHARE.get(feature.water, (0.2, 0.4))))
    if feature.water == "river" and "river" not in unwanted:
        path, width = shores.lay_river(c, p, metres if feature.category == "river" else 0.6 * metres)
        if feature.category == "bridge" and include:
            for where in (0.5, 0.28, 0.72)[:count]:
                shores.lay_bridge(c, p, path, width, where)
    elif include and feature.painter:
        if feature.water == "open sea":
            assert sea is not None
            c.reserved |= ~sea
        elif sea is not None and not feature.water:
            c.reserved |= sea
        _place(c, p, feature, count, metres)
    if sea is not None:
        c.reserved |= sea
    if feature.water == "dam" and not include and "lake" not in unwanted:
        _place(c, p, FEATURES["lake"], 1, 0.5 * c.side * c.gsd)


def _place(c: Canvas, p: Palette, feature: Feature, count: int, metres: float) -> None:
    paint = pkgutil.resolve_name(f"{__package__}.{feature.painter}")
    turn = float(c.rng.uniform(0, np.pi))
    for k in range(count):
        # The first has the requested size; the others differ, so that one of them is the largest.
        radius = c.px(metres) / 2 * (1.0 if k == 0 else float(c.rng.uniform(0.6, 1.05)))
        radius = min(radius, 0.5 * feature.share[1] * c.side)
        before = len(c.kinds)
        for _ in range(_SPOTS):
            if feature.water in ("beach", "sea"):
                spot = c.find_spot(1, angle=turn) or c.find_spot(0)
            elif radius >= 0.45 * c.side:  # it extends beyond the image, so only its centre needs room
                spot = c.find_spot(0.3 * c.side)
            else:
                spot = c.find_spot(radius, angle=turn + c.rng.normal(0, 0.06) if c.rng.random() < 0.75 else None)
            if spot is None:
                break
            plot = c.lay_out(replace(spot, radius=radius), feature.footprint)
            with c.kept():
                if feature.footprint is None or c.claim(feature.category, plot.region):
                    paint(c, p, plot)
            if feature.category in c.kinds[before:]:
                c.reserve(c.crop(c.owner >= before), max(2.0, min(0.1 * radius, 10.0)))
                break


def _add_companions(c: Canvas, p: Palette, main: Feature, setting: str, unwanted: set[str]) -> None:
    """Add two to four others that suit the setting and are visible at this scale.

    Many scenes without their category show what resembles it, so that a model has to tell the two apart.
    """
    absent = main.category in unwanted
    candidates = [
        f
        for f in FEATURES.values()
        if setting in f.settings
        and f.category != main.category
        and not {f.category, *f.brings} & unwanted
        and not (main.category == _CROSSING and f.own_roads and not (absent and f.category in main.resembles))
        and f.painter
        and f.water in ("", "sea")
        and c.px(f.metres[1]) >= _VISIBLE
        and c.px(f.metres[0]) <= 0.42 * c.side
    ]
    wanted = int(c.rng.integers(2, 5))
    chosen = [candidates[index] for index in c.rng.permutation(len(candidates))]
    if absent and c.rng.random() < _LOOK_ALIKE_SHARE:
        chosen.sort(key=lambda f: f.category not in main.resembles)
    for f in chosen[:wanted]:
        low, high = max(f.metres[0], _VISIBLE * c.gsd), min(f.metres[1], 0.42 * c.side * c.gsd)
        if f.water == "sea" and "sea" not in c.kinds:
            continue
        _place(c, p, f, int(c.rng.integers(1, min(f.repeat, 2) + 1)), float(c.rng.uniform(low, max(low, high))))


def _furnish(c: Canvas, p: Palette, setting: str, crossings: bool) -> None:
    """Add roads, houses and trees where there is room; without `crossings`, no two roads meet."""
    angle = float(c.rng.uniform(0, np.pi / 2))
    area = c.width * c.height * c.gsd**2 / 1e6  # km²
    roads = crossings or "road" not in c.kinds
    if setting in _TOWNS:
        block, road, low, high, tall = _TOWNS[setting]
        if roads:
            terrain.street_grid(c, float(np.clip(c.px(block), c.side / 9, c.side / 1.6)), angle, road, crossings)
        terrain.scatter_buildings(c, int(np.clip(area * 1500, 14, 130)), low, high, tall, angle)
        terrain.lone_trees(c, p, int(np.clip(area * 4000, 20, 160)) if c.gsd < 3 else 0)
    elif setting == "industrial":
        terrain.paint_roads(c, [terrain.straight_path(c), terrain.straight_path(c)], 9)
        terrain.scatter_buildings(c, int(np.clip(area * 150, 5, 30)), 18, 45, 7, angle)
        terrain.lone_trees(c, p, int(np.clip(area * 500, 5, 50)) if c.gsd < 3 else 0)
    else:
        for _ in range(int(c.rng.integers(1, 3)) if crossings else int(roads)):
            terrain.paint_roads(c, [terrain.straight_path(c, 0.06)], 7, paved=bool(c.rng.random() < 0.7))
        terrain.scatter_buildings(c, int(c.rng.integers(0, 7)), 12, 28, 6, angle)
        terrain.lone_trees(c, p, int(np.clip(area * 400, 10, 90)) if c.gsd < 4 else 0)


def _expose(c: Canvas) -> np.ndarray:
    """Add the haze, colour cast, blur and noise of a sensor; return (height, width, 3) uint8."""
    haze = (float(c.rng.uniform(0.0, 0.16)) * (0.6 + 0.8 * c.noise(c.side / 1.5, 2)))[..., None]
    image = c.image * (255 * (1 - haze)) + np.array([199, 209, 219], np.float32) * haze
    sharp = Image.fromarray(np.clip(image, 0, 255, out=image).astype(np.uint8))
    centre = float(c.rng.uniform(4, 12))
    soft = sharp.filter(ImageFilter.Kernel((3, 3), [0.4, 1, 0.4, 1, centre, 1, 0.4, 1, 0.4]))
    cast = c.rng.normal(1, 0.025, 3)
    gain, gamma = float(c.rng.uniform(0.95, 1.15)), float(c.rng.uniform(0.9, 1.1))
    levels = np.arange(256) / 255
    curves = [np.clip(levels * gain * channel, 0, 1) ** gamma * 255 for channel in cast]
    toned = np.asarray(soft.point(np.concatenate(curves).astype(np.uint8).tolist()))
    noise = c.rng.standard_normal(toned.shape[:2], np.float32) * np.float32(c.rng.uniform(1.0, 4.0))
    return np.clip(toned + noise.astype(np.int16)[..., None], 0, 255).astype(np.uint8)
