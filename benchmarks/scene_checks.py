"""Check generated scenes against what a careful viewer sees, by code that shares nothing with the question writer.

`python benchmarks/scene_checks.py --n 500` checks two things of every scene:

* the mask is what the question asks for: the union, the largest or smallest by a clear margin, the farthest in a
  direction, the nearest to the landmark, or nothing where no object of the category is drawn; stated numbers are
  those of the objects and of the separate regions that one sees;
* nothing looks like an object that is not one: roads on both banks of a river in one line, things on water, roads that
  cross in a scene about intersections, rings of road, ponds, and islands.

It prints the number of scenes with each fault and exits with 1 if there is any.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy.ndimage import (
    binary_closing,
    binary_dilation,
    binary_erosion,
    binary_fill_holes,
    distance_transform_edt,
    label,
    median_filter,
)
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from earthreason.synthetic.generate import SPLITS, compose_scene

EIGHT = np.ones((3, 3), bool)
SIZE_MARGIN, DISTANCE_MARGIN = 1.2, 1.2
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
LANDMARKS = {
    "water": ("river", "lake", "sea"),
    "trees": ("woodland",),
}
DIRECTIONS = {"north": (0, -1), "south": (0, 1), "west": (1, -1), "east": (1, 1)}
JOINED = {"river": ("bridge", "dam"), "lake": ("dam",), "railway": ("train station",)}
"""Objects that may lie across another one, which the viewer then still sees as one."""
CONTEXT = ("road", "crossing", "building", "sea")
ROADS = ("road", "crossing")


@dataclass(frozen=True)
class View:
    """A scene, and what is asked about it.

    Attributes:
        image: (height, width, 3) uint8.
        objects: kind and (height, width) bool mask of each object.
        category: category that the questions are about.
        wording: kind of question.
        slots: values in the questions: "count", "most", "direction" or "landmark".
        mask: (height, width) bool, the target.
    """

    image: np.ndarray
    objects: tuple[tuple[str, np.ndarray], ...]
    category: str
    wording: str
    slots: dict[str, str]
    mask: np.ndarray

    def masks(self, *kinds: str) -> list[np.ndarray]:
        return [mask for kind, mask in self.objects if kind in kinds]

    def union(self, *kinds: str) -> np.ndarray:
        return np.logical_or.reduce([np.zeros(self.mask.shape, bool), *self.masks(*kinds)])


def compose(seed: int, split: str, index: int, size: tuple[int, int], empty_share: float) -> View:
    """Draw a scene with its target."""
    made = compose_scene(seed, split, index, size, empty_share)
    objects = tuple((item.kind, item.mask) for item in made.scene.objects)
    target = made.target
    return View(made.scene.image, objects, made.category, target.wording, dict(target.slots), target.mask)


def count_regions(mask: np.ndarray) -> int:
    """Count the separate regions that a viewer sees; specks of a few pixels do not count."""
    parts, count = label(mask, EIGHT)
    areas = np.bincount(parts.ravel())[1:] if count else np.zeros(0)
    return int((areas >= max(4.0, 0.02 * mask.sum())).sum())


def check_target(view: View) -> Iterator[str]:
    """Yield what is wrong with the mask of the target."""
    own = view.masks(view.category)
    if not view.mask.any():
        if own:
            yield "empty target, but the category is drawn"
        return
    if not own:
        yield "target, but nothing of the category is drawn"
        return
    if view.wording in ("function", "multi-instance"):
        if not np.array_equal(view.mask, view.union(view.category)):
            yield "not the union"
        if view.wording == "multi-instance":
            seen = count_regions(view.mask)
            if not NUMBERS.get(view.slots["count"]) == len(own) == seen:
                yield "stated number is not the number of objects or regions"
        return
    ranked = [item for item in own if np.array_equal(item, view.mask)]
    if len(ranked) != 1:
        yield "not one object of the category"
        return
    others = [item for item in own if item is not ranked[0]]
    score, margin = _measure(view)
    best, rest = score(ranked[0]), [score(item) for item in others]
    if not rest or not all(margin(best, other) for other in rest):
        yield f"not the one asked for ({view.wording})"


def _measure(view: View) -> tuple[Callable[[np.ndarray], float], Callable[[float, float], bool]]:
    """Return how to measure an object, and how a target must compare to any other object."""
    if view.wording == "superlative":
        if view.slots["most"] == "largest":
            return np.count_nonzero, lambda best, other: best >= SIZE_MARGIN * other
        return np.count_nonzero, lambda best, other: SIZE_MARGIN * best <= other
    if view.wording == "direction":
        axis, sign = DIRECTIONS[view.slots["direction"]]
        least = 0.1 * view.mask.shape[axis]
        return lambda item: sign * np.argwhere(item)[:, axis].mean(), lambda best, other: best >= other + least
    named = view.slots.get("landmark", {"flood": "water", "fire": "trees"}.get(view.wording, ""))
    landmark = cKDTree(np.argwhere(view.union(*LANDMARKS[named])))
    return (
        lambda item: float(landmark.query(np.argwhere(item))[0].min()),
        lambda best, other: DISTANCE_MARGIN * best <= other + 1e-6,
    )


def check_objects(view: View) -> Iterator[str]:
    """Yield objects that overlap, that are cut in pieces, or that touch another of their kind."""
    if np.sum([mask for _, mask in view.objects], axis=0).max() > 1:
        yield "objects overlap"
    for kind in sorted({kind for kind, _ in view.objects} - set(CONTEXT)):
        masks, across = view.masks(kind), view.masks(*JOINED.get(kind, ()))
        for mask in masks:
            touching = [other for other in across if (binary_dilation(mask, EIGHT, 2) & other).any()]
            if count_regions(np.logical_or.reduce([mask, *touching])) > 1:
                yield f"{kind} in pieces"
        if label(np.logical_or.reduce(masks), EIGHT)[1] < len(masks):
            yield f"two of {kind} touch"


def check_lookalikes(view: View) -> Iterator[str]:
    """Yield what looks like an object and is none."""
    for kind in ("river", "lake", "railway", "airport runway", "sea"):
        if _joined_across(view, kind):
            yield f"road on both sides of a {kind}"
    for kind in ("river", "lake"):
        for mask in view.masks(kind):
            if _foreign_on_water(view, mask):
                yield f"something on a {kind}"
    roads = view.union(*ROADS)
    hubs = view.union("intersection", "roundabout")
    if view.category == "intersection" and _junctions(roads, hubs):
        yield "roads cross, unlabelled"
    if _rings(roads | hubs, view.union("roundabout")):
        yield "ring of road, unlabelled"
    sea = view.union("sea")
    if sea.any():
        within = binary_fill_holes(sea | view.union("island", "pier")) & ~sea & ~view.union("island", "pier")
        if count_regions(sea | view.union("pier", "island")) > 1:
            yield "pond beside the sea, unlabelled"
        if view.category in ("island", "pier") and within.sum() >= 24:
            yield "land in the sea, unlabelled"
    if view.category in ("lake", "river", "swimming pool", "wastewater plant") and _ponds(view):
        yield "blue ground, unlabelled"


def _joined_across(view: View, kind: str) -> bool:
    """Return whether a road that ends at an object goes on behind it in the same line."""
    roads, obstacle = view.union(*ROADS), view.union(kind)
    passages = view.union("bridge", "viaduct", "dam", "intersection", "roundabout", "train station")
    if not obstacle.any() or not roads.any():
        return False
    height, width = roads.shape
    near = distance_transform_edt(~obstacle) <= 0.1 * min(height, width)
    ends, count = label(roads & near, EIGHT)
    pixels = np.argwhere(roads)
    for number in range(1, count + 1):
        end = np.argwhere(ends == number).astype(float)
        if len(end) < 6:
            continue
        middle = end.mean(axis=0)
        around = pixels[np.hypot(*(pixels - middle).T) < 0.1 * min(height, width)] - middle
        strength, axes = np.linalg.eigh(around.T @ around)
        if strength[1] < 6 * strength[0]:  # not a line
            continue
        for sign in (-1, 1):
            if _reaches(roads, obstacle, passages, middle, sign * axes[:, 1], ends == number):
                return True
    return False


def _reaches(
    roads: np.ndarray, obstacle: np.ndarray, passages: np.ndarray, start: np.ndarray, step: np.ndarray, own: np.ndarray
) -> bool:
    """Follow a line across an obstacle; return whether it meets a road in the same direction soon behind it."""
    side = min(roads.shape)
    crossed = behind = 0
    for distance in range(1, int(0.6 * side)):
        y, x = np.round(start + distance * step).astype(int)
        if not (0 <= y < roads.shape[0] and 0 <= x < roads.shape[1]) or passages[y, x]:
            return False
        if obstacle[y, x]:
            crossed, behind = crossed + 1, 0
        elif crossed:
            behind += 1
            if behind > 0.1 * side:
                return False
            if roads[y, x] and not own[y, x]:
                further = np.round(start + (distance + np.arange(0.08 * side)[:, None]) * step).astype(int)
                inside = ((further >= 0) & (further < roads.shape)).all(axis=1)
                # At the edge of the image, a few pixels may belong to a road of any direction.
                return bool(inside.sum() >= 0.04 * side and roads[tuple(further[inside].T)].mean() > 0.9)
        elif distance > 0.2 * side:
            return False
    return False


def _foreign_on_water(view: View, water: np.ndarray) -> bool:
    """Return whether pixels of water have another colour than those at the same distance from its bank."""
    others = view.union("bridge", "dam", "pier", "island")
    depth = np.minimum(distance_transform_edt(water), 40).astype(int)
    inner = water & (depth > 2) & ~binary_dilation(others, iterations=max(6, min(water.shape) // 12))
    smooth = median_filter(view.image, (3, 3, 1)).astype(float)
    odd = np.zeros(water.shape, bool)
    for value in np.unique(depth[inner]):
        ring = inner & (depth == value)
        usual = np.median(smooth[ring], axis=0)
        odd |= ring & (np.abs(smooth - usual).max(axis=2) > 40)
    parts, count = label(odd, EIGHT)
    return bool(count and np.bincount(parts.ravel())[1:].max() >= 12)


def _junctions(roads: np.ndarray, hubs: np.ndarray) -> bool:
    """Return whether three or more roads meet outside the hubs."""
    roads = binary_closing(np.pad(roads, 3), EIGHT)[3:-3, 3:-3]
    inner = distance_transform_edt(roads)
    hub_distance = distance_transform_edt(~hubs) if hubs.any() else np.full(roads.shape, np.inf)
    parts, count = label(roads, EIGHT)
    for number in range(1, count + 1):  # a narrow road beside a wide one is measured by its own width
        part = parts == number
        half = float(np.percentile(inner[part], 95))
        reach = 2.5 * half + 3
        beyond = np.hypot(reach, 1.2 * half) + 1.5  # past the corners of an end that is just short of the circle
        places = np.argwhere(part & (inner > 0.9 * half) & (hub_distance >= reach + 4 * half))
        if any(_arms(part, place, reach, beyond) >= 3 for place in places[::3]):
            return True
    return False


def _arms(roads: np.ndarray, place: np.ndarray, reach: float, beyond: float) -> int:
    """Count the roads that lead from a place across a circle round it; 0 where the circle leaves the image.

    Two things on the circle are no roads from the place: the corners of the square end of a road, which do not go on
    to the circle beyond, and a road that passes by.
    """
    turns = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    ring, further = (
        np.round(place + radius * np.stack([np.sin(turns), np.cos(turns)], axis=1)).astype(int)
        for radius in (reach, beyond)
    )
    if ((ring < 0) | (ring >= roads.shape)).any():
        return 0
    if _runs(roads[tuple(ring.T)])[1] < 3:  # saves the slower steps below at most places
        return 0
    rows, columns = np.ogrid[: roads.shape[0], : roads.shape[1]]
    parts, _ = label(roads & (np.hypot(rows - place[0], columns - place[1]) <= beyond + 1), EIGHT)
    joined = parts == parts[tuple(place)]
    runs, count = _runs(joined[tuple(ring.T)])
    # A road that leaves the image goes on as it is at the edge.
    goes_on = joined[tuple(np.clip(further, 0, np.array(roads.shape) - 1).T)]
    return sum(bool(goes_on[runs == number].any()) for number in range(1, count + 1))


def _runs(seen: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the runs of true values round a circle from 1, where gaps of a pixel are none."""
    seen = seen | np.roll(seen, 1) | np.roll(seen, -1)
    runs, count = label(seen)
    if count > 1 and seen[0] and seen[-1]:
        runs[runs == count] = runs[0]
        count -= 1
    return runs, count


def _rings(roads: np.ndarray, roundabouts: np.ndarray) -> bool:
    """Return whether a road goes round a disc that belongs to no roundabout."""
    holes, count = label(binary_fill_holes(roads | roundabouts) & ~roads & ~roundabouts)
    for number in range(1, count + 1):
        hole = holes == number
        places = np.argwhere(hole)
        radius = np.hypot(*(places - places.mean(axis=0)).T).max() + 0.5
        if len(places) >= 60 and len(places) > 0.85 * np.pi * radius**2:
            return True
    return False


def _ponds(view: View) -> bool:
    """Return whether a patch of plain ground is as blue as a pool."""
    owned = binary_dilation(view.union(*(kind for kind, _ in view.objects)), iterations=3)
    colour = median_filter(view.image, (3, 3, 1)).astype(int)
    ground = ~owned
    usual = np.median(colour[ground], axis=0) if ground.any() else np.zeros(3)
    blue = ground & (colour[..., 2] - colour[..., 0] > 45 + max(0, usual[2] - usual[0]))
    parts, count = label(binary_erosion(blue), EIGHT)
    return bool(count and np.bincount(parts.ravel())[1:].max() >= 16)


def check(view: View) -> list[str]:
    """Return everything that is wrong with a scene."""
    return [*check_target(view), *check_objects(view), *check_lookalikes(view)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=500, help="number of scenes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=256, help="side of the scenes in pixels")
    parser.add_argument("--empty-share", type=float, default=0.3)
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--save", type=Path, help="folder for the images of the scenes with faults")
    a = parser.parse_args(arguments)
    console, wrong = Console(width=120), 0
    faults: Counter[str] = Counter()
    for index in range(a.n):
        view = compose(a.seed, a.split, index, (a.size, a.size), a.empty_share)
        found = check(view)
        wrong += bool(found)
        faults.update(set(found))
        for fault in found:
            console.print(f"{index} {view.category} ({view.wording}): {fault}", markup=False, highlight=False)
        if found and a.save:
            a.save.mkdir(parents=True, exist_ok=True)
            Image.fromarray(view.image).save(a.save / f"{index:05d}_{view.category.replace(' ', '_')}.png")
    table = Table("fault", "scenes", title=f"{wrong} of {a.n} scenes are wrong")
    for fault, number in faults.most_common():
        table.add_row(fault, str(number))
    console.print(table)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
