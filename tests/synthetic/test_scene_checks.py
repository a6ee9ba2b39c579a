"""The checks of scenes pass what is generated, and report every fault that is planted in a scene drawn by hand."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import scene_checks
from benchmarks.scene_checks import View, check

SIDE = 160
GRASS, WATER, ASPHALT = (90, 130, 70), (50, 80, 110), (93, 93, 94)


def box(top, left, bottom, right):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top:bottom, left:right] = True
    return mask


def disc(row, column, radius):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.hypot(rows - row, columns - column) <= radius


def view_of(*objects, category, wording="function", target=None, **slots):
    """Draw objects in plain colours; the target is their union unless it is given."""
    image = np.full((SIDE, SIDE, 3), GRASS, np.uint8)
    for kind, mask in objects:
        image[mask] = WATER if kind in ("river", "lake", "sea") else ASPHALT if kind == "road" else (200, 200, 200)
    own = [mask for kind, mask in objects if kind == category]
    union = np.logical_or.reduce([box(0, 0, 0, 0), *own])
    return View(image, tuple(objects), category, wording, slots, union if target is None else target)


RIVER = ("river", box(70, 0, 94, SIDE))
TANKS = tuple(("storage tank", disc(*place)) for place in ((30, 30, 8), (30, 90, 12), (130, 60, 16)))


def test_generated_scenes_have_no_fault():
    assert scene_checks.main(["--n", "28", "--size", "192"]) == 0


def test_scenes_drawn_by_hand_have_no_fault():
    assert check(view_of(RIVER, ("road", box(0, 60, 60, 68)), category="bridge")) == []
    bridge = box(66, 60, 98, 70)
    parts = ("river", RIVER[1] & ~bridge), ("bridge", bridge), ("road", box(0, 60, 66, 70) | box(98, 60, SIDE, 70))
    assert check(view_of(*parts, category="bridge")) == []
    assert check(view_of(*TANKS, category="storage tank", wording="multi-instance", count="three")) == []
    largest = view_of(*TANKS, category="storage tank", wording="superlative", target=TANKS[2][1], most="largest")
    assert check(largest) == []
    south = view_of(*TANKS, category="storage tank", wording="direction", target=TANKS[2][1], direction="south")
    assert check(south) == []
    # The rims of the tanks are 70 - 38 = 32, 28 and 114 - 93 = 21 pixels from the river, and 21 * 1.2 < 28.
    near = view_of(*TANKS, RIVER, category="storage tank", wording="nearest", target=TANKS[2][1], landmark="water")
    assert check(near) == []


@pytest.mark.parametrize(
    ("wording", "slots", "target", "fault"),
    [
        ("function", {}, TANKS[0][1], "not the union"),
        ("multi-instance", {"count": "two"}, None, "stated number is not the number of objects or regions"),
        ("superlative", {"most": "smallest"}, TANKS[1][1], "not the one asked for (superlative)"),
        ("superlative", {"most": "largest"}, TANKS[1][1], "not the one asked for (superlative)"),
        ("direction", {"direction": "north"}, TANKS[0][1], "not the one asked for (direction)"),
        ("nearest", {"landmark": "water"}, TANKS[1][1], "not the one asked for (nearest)"),
        ("flood", {}, TANKS[0][1], "not the one asked for (flood)"),
        ("flood", {}, TANKS[0][1] | TANKS[1][1], "not one object of the category"),
        ("function", {}, box(0, 0, 0, 0), "empty target, but the category is drawn"),
    ],
)
def test_a_wrong_target_is_reported(wording, slots, target, fault):
    view = view_of(*TANKS, RIVER, category="storage tank", wording=wording, target=target, **slots)
    assert check(view) == [fault]


def test_a_target_without_object_is_reported():
    assert check(view_of(RIVER, category="bridge", target=box(0, 0, 9, 9))) == [
        "target, but nothing of the category is drawn"
    ]


def test_a_road_that_goes_on_behind_a_river_is_reported():
    road = ("road", box(0, 60, 62, 68) | box(102, 60, SIDE, 68))
    assert check(view_of(RIVER, road, category="bridge")) == ["road on both sides of a river"]


def test_a_road_in_the_line_of_another_is_told_from_one_across_it_at_the_edge_of_the_image():
    river, street = ("river", box(110, 0, 140, SIDE)), box(0, 60, 104, 66)
    # Of the road across, whose width is 6 pixels, the line of the street covers fewer than 0.04 * 160 = 6.4.
    across = street | box(154, 40, SIDE, 120)
    assert check(view_of(river, ("road", across), category="river")) == []
    ahead = street | box(146, 60, SIDE, 66)
    assert "road on both sides of a river" in check(view_of(river, ("road", ahead), category="river"))


def test_a_road_drawn_over_a_river_without_a_label_is_reported():
    view = view_of(RIVER, category="bridge")
    view.image[:, 60:68] = ASPHALT
    assert check(view) == ["something on a river"]


def test_a_crossing_is_reported_where_intersections_are_asked_for():
    roads = ("road", box(0, 60, SIDE, 68) | box(90, 0, 98, SIDE))
    assert check(view_of(roads, category="intersection")) == ["roads cross, unlabelled"]
    assert check(view_of(roads, category="lake")) == []


def strip(start, end, half):
    """Draw a straight road with square ends between two points, each row and column, of a half width in pixels."""
    rows, columns = np.mgrid[:SIDE, :SIDE] - np.array(start, float)[:, None, None]
    along = np.subtract(end, start) / np.hypot(*np.subtract(end, start))
    forward, aside = rows * along[0] + columns * along[1], rows * along[1] - columns * along[0]
    return (np.abs(aside) <= half) & (forward >= 0) & (forward <= np.hypot(*np.subtract(end, start)))


@pytest.mark.parametrize("half", [2.5, 3.5, 5])
@pytest.mark.parametrize("along", [(0.8, 0.6), (0.6, 0.8), (0.28, 0.96), (0.96, -0.28)])
def test_the_corners_of_the_end_of_a_road_are_no_roads(half, along):
    # The circle round a place meets only the corners at some lengths of the road.
    for length in np.arange(60, 66, 0.5):
        end = np.array([60, 60]) + length * np.array(along)
        road = ("road", strip((60, 60), end, half))
        assert check(view_of(road, category="intersection")) == []


def test_a_narrow_crossing_beside_a_wide_road_and_one_with_a_short_arm_are_reported():
    narrow = strip((80, 5), (80, 75), 1.5) | strip((50, 40), (110, 40), 1.5)
    wide = strip((5, 120), (155, 120), 7)
    assert check(view_of(("road", narrow | wide), category="intersection")) == ["roads cross, unlabelled"]
    # An arm as long as two widths of the road, from the rim of the other.
    short = strip((5, 60), (155, 60), 4) | strip((80, 60), (80, 80), 4)
    assert check(view_of(("road", short), category="intersection")) == ["roads cross, unlabelled"]


@pytest.mark.parametrize("half", [2.5, 3.5, 5])
def test_roads_side_by_side_do_not_cross(half):
    roads = strip((10, 60), (150, 60), half) | strip((10, 60 + 4 * half), (150, 60 + 4 * half), half)
    assert check(view_of(("road", roads), category="intersection")) == []


@pytest.mark.parametrize("half", [2.5, 3.5, 5])
@pytest.mark.parametrize("end", [(150, 80), (150, 120), (20, 150), (110, 150)])
def test_a_road_that_branches_off_another_is_reported(half, end):
    roads = strip((75, 5), (85, 155), half) | strip((80, 80), end, half)
    assert check(view_of(("road", roads), category="intersection")) == ["roads cross, unlabelled"]


def test_a_ring_of_road_is_reported():
    ring = ("road", disc(80, 80, 40) & ~disc(80, 80, 30))
    assert check(view_of(ring, category="roundabout")) == ["ring of road, unlabelled"]


def test_ponds_and_islands_that_are_no_objects_are_reported():
    sea = ("sea", box(60, 0, SIDE, SIDE) & ~disc(110, 80, 12))
    assert check(view_of(sea, category="island")) == ["land in the sea, unlabelled"]
    pool = view_of(category="swimming pool")
    pool.image[disc(80, 80, 9)] = (60, 150, 200)
    assert check(pool) == ["blue ground, unlabelled"]


def test_objects_in_pieces_that_touch_or_overlap_are_reported():
    cut = ("railway", box(40, 0, 48, 70) | box(40, 80, 48, SIDE))
    assert check(view_of(cut, category="railway")) == ["railway in pieces"]
    touching = ("lake", box(10, 10, 60, 60)), ("lake", box(10, 60, 60, 99))
    assert check(view_of(*touching, category="lake")) == ["two of lake touch"]
    view = view_of(("lake", box(10, 10, 60, 60)), category="lake")
    overlapping = replace(view, objects=(*view.objects, ("church", box(50, 50, 80, 80))))
    assert check(overlapping) == ["objects overlap"]


def test_faults_make_the_command_fail(monkeypatch, tmp_path):
    road = ("road", box(0, 60, 62, 68) | box(102, 60, SIDE, 68))
    monkeypatch.setattr(scene_checks, "compose", lambda *_: view_of(RIVER, road, category="bridge"))
    assert scene_checks.main(["--n", "1", "--save", str(tmp_path)]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["00000_bridge.png"]
