"""Compose a scene: ground, water, the main objects, their surroundings, light and sensor."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter
from scipy.ndimage import label

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.synthetic import shores, terrain
from earthreason.synthetic.canvas import Canvas
from earthreason.synthetic.categories import FEATURES, Feature
from earthreason.synthetic.colours import PALETTES, Palette
from earthreason.synthetic.composition import INTERSECTION, VISIBLE, Group, ScenePlan, plan_scene
from earthreason.synthetic.scene import RenderedScene, SceneContent, SceneObject
from earthreason.synthetic.shapes import Plot, Spot

SIDE_RANGE = (96, 4096)
_RIVER_BESIDE = 0.5
"""Share of inland scenes with several targets to which a river is added, so that one target is nearest to water."""
_TRIES = 20
_SHRINK = (1.0, 1.0, 0.9, 0.8, 0.7)
"""Sizes at which a place for an object is sought, one after the other."""
_ROOM = 1.08
"""Radius of the free ground that an object needs, as a multiple of its own, because corners and bays reach farther."""
_SPREAD = (1.14, 1.32)
"""Ratio of the extents of objects that follow each other in size, so that the largest and the smallest stand out."""
_PAVED_SHARE = {"urban": 0.75, "industrial": 0.75, "suburban": 0.35}
_LITTLE_SEA = (0.2, 0.4)
_SEA_SHARE = {"beach": (0.3, 0.5), "sea": (0.4, 0.6), "open sea": (0.78, 0.95)}
_TOWNS = {"urban": (110, 9, 18, 55, 14), "suburban": (85, 7, 9, 17, 6)}
"""Dimensions in metres: block length, road width, smallest and largest building width, building height."""


@dataclass(frozen=True)
class Draft(SceneContent):
    """A scene with the water and all objects that a question may be about, before its surroundings are drawn.

    Attributes:
        objects: these objects; what is drawn later takes none of their pixels.
    """

    objects: tuple[SceneObject, ...]
    _canvas: Canvas
    _palette: Palette
    _setting: str
    _crossings: bool
    _unwanted: frozenset[str]

    @property
    def shape(self) -> tuple[int, int]:
        return self._canvas.height, self._canvas.width

    def finish(self) -> RenderedScene | None:
        """Draw the rest; return None if it shows what the scene must not."""
        canvas = self._canvas
        with canvas.kept():
            _furnish(canvas, self._palette, self._setting, self._crossings)
        kinds = set(canvas.kinds)
        if kinds & self._unwanted or (terrain.CROSSING in kinds and not self._crossings):
            return None
        return RenderedScene(_expose(canvas), canvas.gsd, self._setting, canvas.objects())


def draft_scenes(
    rng: np.random.Generator,
    category: str,
    *,
    size: tuple[int, int] = (512, 512),
    gsd: float | None = None,
    instances: int | None = None,
    include: bool = True,
    exclude: Collection[str] = (),
    landmark: str = "",
) -> Iterator[Draft]:
    """Draft scenes as `render_scene` draws them, without end, for callers that need one with certain objects.

    `landmark` is "water" or "trees" that should be there too, if the surroundings can have them, or "".

    Raises:
        UnknownNameError: the category does not exist.
        EarthReasonError: a side is out of bounds, or the category does not fit.
    """
    if category not in FEATURES:
        raise UnknownNameError("category", category, FEATURES)
    if not all(SIDE_RANGE[0] <= side <= SIDE_RANGE[1] for side in size):
        raise EarthReasonError(f"a scene has sides from {SIDE_RANGE[0]} to {SIDE_RANGE[1]} px, not {size[0]}x{size[1]}")
    feature = FEATURES[category]
    unwanted = frozenset(exclude) - {category} if include else frozenset((*exclude, category))
    failed = 0
    while failed < _TRIES:
        plan = plan_scene(rng, feature, min(size), gsd, instances, unwanted, failed, _TRIES, landmark)
        canvas = Canvas(rng, size[0], size[1], plan.gsd)
        palette = canvas.pick(PALETTES)
        _lay_ground(canvas, palette, plan.setting)
        failed += 1
        if _lay_objects(canvas, palette, plan, unwanted) and (category in canvas.kinds) == include:
            yield Draft(canvas.objects(), canvas, palette, plan.setting, category != INTERSECTION, unwanted)
            failed = 0
    scale = "" if gsd is None else f" at {gsd} m per pixel"
    raise EarthReasonError(f"no room for {category!r} in {size[0]}x{size[1]} px{scale}; choose a larger size or scale")


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
    drafts = draft_scenes(rng, category, size=size, gsd=gsd, instances=instances, include=include, exclude=exclude)
    return next(scene for draft in drafts if (scene := draft.finish()) is not None)


def _lay_ground(c: Canvas, p: Palette, setting: str) -> None:
    if setting == "farmland":
        terrain.farmland(c, p)
    elif setting in _PAVED_SHARE:
        terrain.built_ground(c, p, _PAVED_SHARE[setting])
    else:
        terrain.open_ground(c, p, 0.2 if setting == "airport" else 0.4)


def _lay_objects(c: Canvas, p: Palette, plan: ScenePlan, unwanted: Collection[str]) -> bool:
    """Draw the water and all objects; return False, before the rest is drawn, if those of the category do not fit."""
    asked = plan.asked
    feature, include = asked.feature, asked.feature.category not in unwanted
    groups = [*([asked] if include else []), *plan.others]
    enough = 1 if plan.relaxed else asked.count
    if plan.setting == "coast":
        waters = {group.feature.water for group in (asked, *plan.others[:1])} - {""}
        share = max((_SEA_SHARE.get(water, _LITTLE_SEA) for water in waters), default=_LITTLE_SEA)
        sea = shores.lay_sea(c, p, c.rng.uniform(*share))
        for group in groups:  # what needs the water comes first; afterwards it is kept free
            avoid = ~sea if group.feature.water == "open sea" else None
            if group.feature.water and _place(c, p, group, avoid) < enough and group is asked:
                return False
        c.reserved |= sea
    elif not _lay_river(c, p, plan, unwanted, include):
        return False
    ashore = [group for group in groups if group.feature.water in ("", "dam")]
    first = [group for group in ashore if group in (asked, *plan.others[:1])]
    for group in [*sorted(first, key=_urgency), *(group for group in ashore if group not in first)]:
        if _place(c, p, group) < enough and group is asked:
            return False
    if feature.water == "dam" and not include and "lake" not in unwanted:
        _place(c, p, Group(FEATURES["lake"], 1, 0.5 * c.side * c.gsd))
    return not include or all(_is_whole(c, number) for number, kind in enumerate(c.kinds) if kind == feature.category)


def _urgency(group: Group) -> tuple[bool, bool, bool, float]:
    """Return a key that sorts what needs much room before what fits into the rest."""
    f = group.feature
    return f.water != "dam", not f.across, not f.own_roads, -group.metres


def _lay_river(c: Canvas, p: Palette, plan: ScenePlan, unwanted: Collection[str], include: bool) -> bool:
    """Draw the river of an inland scene, if it has one, with the bridges; return False if these do not fit."""
    feature, count = plan.asked.feature, plan.asked.count
    partner = plan.others[0] if plan.others else None
    if feature.water == "river" and "river" not in unwanted:
        metres = plan.asked.metres if feature.category == "river" else 0.6 * plan.asked.metres
    elif partner and partner.feature.category == "river":
        metres = partner.metres
    elif (
        count > 1
        and "river" not in unwanted
        and not feature.water
        and (plan.landmark == "water" or c.rng.random() < _RIVER_BESIDE)
    ):
        metres = float(c.rng.uniform(0.05, 0.1)) * c.side * c.gsd
    else:
        return True
    path, width = shores.lay_river(c, p, metres)
    if feature.category != "bridge" or not include:
        return True
    places: list[float] = []
    for where in c.rng.permutation(np.linspace(0.16, 0.84, 12)):
        if len(places) < count and all(abs(where - other) > 0.17 for other in places):
            before = len(c.kinds)
            shores.lay_bridge(c, p, path, width, float(where))
            if "bridge" in c.kinds[before:]:
                places.append(float(where))
    return len(places) >= (1 if plan.relaxed else count)


def _is_whole(c: Canvas, number: int) -> bool:
    """Return whether an object is in one piece, or is of a kind that others may cross."""
    kind = c.kinds[number]
    if FEATURES[kind].across:
        return True
    pieces = label(c.crop(c.owner == number).mask, np.ones((3, 3)))[1]
    return bool(pieces == 1)


def _place(c: Canvas, p: Palette, group: Group, avoid: np.ndarray | None = None) -> int:
    """Draw the objects of a group where there is room, outside of `avoid`; return how many were drawn."""
    feature = group.feature
    paint = pkgutil.resolve_name(f"{__package__}.{feature.painter}")
    turn = float(c.rng.uniform(0, np.pi))
    largest = min(c.px(group.metres) / 2, 0.5 * feature.share[1] * c.side)
    # The first has the requested size; each other one is clearly smaller, as far as it stays legible.
    ratio = min(float(c.rng.uniform(*_SPREAD)), 2.2 ** (1 / max(1, group.count - 1)))
    drawn = 0
    for k in range(group.count):
        radius = max(largest / ratio**k, min(largest, VISIBLE / 2))
        full = np.inf  # radius for which there is no room
        for shrink in _SHRINK:
            size = max(shrink * radius, min(radius, VISIBLE / 2))
            spot = _find_spot(c, feature, size, turn, avoid) if size < full else None
            if spot is None:
                full = size
            elif _draw_at(c, p, feature, paint, spot):
                drawn += 1
                break
    return drawn


def _find_spot(c: Canvas, feature: Feature, radius: float, turn: float, avoid: np.ndarray | None) -> Spot | None:
    if feature.water in ("beach", "sea"):
        spot = c.find_spot(1, angle=turn) or c.find_spot(0)
    elif radius >= 0.45 * c.side or (feature.across and not feature.water):
        # It extends beyond the image, so only its centre needs room.
        spot = c.find_spot(min(radius, 0.3 * c.side))
    else:
        angle = turn + c.rng.normal(0, 0.06) if c.rng.random() < 0.75 else None
        spot = c.find_spot(_ROOM * radius, angle=angle, avoid=avoid, thorough=True)
    return spot and replace(spot, radius=radius)


def _draw_at(
    c: Canvas, p: Palette, feature: Feature, paint: Callable[[Canvas, Palette, Plot], None], spot: Spot
) -> bool:
    """Draw an object at a spot; return whether it was drawn."""
    before = len(c.kinds)
    plot = c.lay_out(spot, feature.footprint)
    if c.is_blocked(plot.region):
        return False
    with c.kept():
        if feature.footprint is None or c.claim(feature.category, plot.region):
            paint(c, p, plot)
    if len(c.kinds) > before:
        c.reserve(c.crop(c.owner >= before), max(2.0, min(0.1 * spot.radius, 10.0)))
    return feature.category in c.kinds[before:]


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
    image = c.image * (255 * (1 - haze))
    image += np.array([199, 209, 219], np.float32) * haze
    sharp = Image.fromarray(np.clip(image, 0, 255, out=image).astype(np.uint8, order="C"))
    centre = float(c.rng.uniform(4, 12))
    soft = sharp.filter(ImageFilter.Kernel((3, 3), [0.4, 1, 0.4, 1, centre, 1, 0.4, 1, 0.4]))
    cast = c.rng.normal(1, 0.025, 3)
    gain, gamma = float(c.rng.uniform(0.95, 1.15)), float(c.rng.uniform(0.9, 1.1))
    levels = np.arange(256) / 255
    curves = [np.clip(levels * gain * channel, 0, 1) ** gamma * 255 for channel in cast]
    toned = np.asarray(soft.point(np.concatenate(curves).astype(np.uint8).tolist()))
    noise = c.rng.standard_normal(toned.shape[:2], np.float32) * np.float32(c.rng.uniform(1.0, 4.0))
    return np.clip(toned + np.repeat(noise.astype(np.int16)[..., None], 3, axis=2), 0, 255).astype(np.uint8)
