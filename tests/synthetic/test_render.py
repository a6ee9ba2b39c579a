import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.synthetic.categories import CATEGORIES, DISTRACTORS, FEATURES
from earthreason.synthetic.render import render_scene

# The names that the paper's table gives, as the EarthReason readers of other groups quote them.
OF_THE_PAPER = """
storage tank, bridge, intersection, tennis court, baseball field, substation, pier, viaduct, wind turbine, church,
airport runway, swimming pool, lake, airport helipad, dam, railway, basketball court, beach, greenhouse, roundabout,
solar power plant, ground track field, wastewater plant, river, train station, stadium, island, factory
"""
EVERYTHING = (*CATEGORIES, *DISTRACTORS)


def draw(category, seed=0, **options):
    return render_scene(np.random.default_rng([seed, EVERYTHING.index(category)]), category, **options)


def union(scene, *kinds):
    masks = [thing.mask for thing in scene.objects if thing.kind in kinds]
    return np.logical_or.reduce([np.zeros(scene.image.shape[:2], bool), *masks])


def test_the_categories_are_those_of_the_paper():
    assert set(CATEGORIES) == {name.strip() for name in OF_THE_PAPER.split(",")}


def test_what_the_paper_does_not_have_is_a_distractor():
    assert set(DISTRACTORS) == {"airport apron", "golf course", "parking lot", "quarry", "woodland"}
    assert set(FEATURES) == {*CATEGORIES, *DISTRACTORS}


def test_what_a_category_resembles_or_brings_exists():
    for feature in FEATURES.values():
        assert {*feature.resembles, *feature.brings} <= set(FEATURES) - {feature.category}


def test_distractors_appear_beside_categories():
    shown = {thing.kind for seed in range(24) for thing in draw("stadium", seed, size=(128, 128)).objects}
    assert shown & set(DISTRACTORS)


def test_a_viaduct_stands_on_land_and_a_bridge_joins_the_banks_of_a_river():
    for seed in range(6):
        scene = draw("viaduct", seed, size=(160, 160))
        assert not (binary_dilation(union(scene, "viaduct")) & union(scene, "river", "lake", "sea")).any()
        scene = draw("bridge", seed, size=(160, 160))
        for bridge in scene.of_kind("bridge"):
            assert (binary_dilation(bridge.mask) & union(scene, "river")).sum() > 10


def test_a_station_stands_at_a_railway():
    for seed in range(4):
        scene = draw("train station", seed, size=(160, 160))
        (station,) = scene.of_kind("train station")
        assert (binary_dilation(station.mask) & union(scene, "railway")).sum() > 20


def ends_at_the_border(part):
    """Count the separate places where a mask meets the border of the image, apart from jagged edges."""
    part = binary_dilation(part, iterations=3)
    ring = np.concatenate([part[0], part[1:, -1], part[-1, -2::-1], part[-2:0:-1, 0]])
    return int((ring & ~np.roll(ring, 1)).sum())


@pytest.mark.parametrize("include", [True, False])
def test_roads_cross_only_where_an_intersection_is_marked(include):
    """Cut at the intersections and roundabouts, no road has a third end."""
    for seed in range(10):
        scene = draw("intersection", seed, size=(256, 256), include=include)
        hubs = binary_dilation(union(scene, "intersection", "roundabout"), iterations=8)
        parts, count = label(union(scene, "road") & ~hubs, np.ones((3, 3)))
        assert count
        assert len(scene.of_kind("intersection")) == include
        assert max(ends_at_the_border(parts == k) for k in range(1, count + 1)) <= 2, seed


def test_scenes_without_an_intersection_often_show_a_roundabout():
    scenes = [draw("intersection", seed, size=(128, 128), include=False) for seed in range(20)]
    assert 4 <= sum(bool(scene.of_kind("roundabout")) for scene in scenes) <= 19


def test_small_objects_fit_into_small_pictures():
    for seed in range(30):
        assert draw("swimming pool", seed, size=(96, 96), instances=6).of_kind("swimming pool")


@pytest.mark.parametrize("size", [(128, 128), (256, 256), (180, 320)])
@pytest.mark.parametrize("category", EVERYTHING)
def test_everything_is_drawn_with_exact_disjoint_masks(category, size):
    scene = draw(category, size=size)
    assert scene.image.shape == (*size, 3)
    assert scene.image.dtype == np.uint8
    assert 0.5 <= scene.gsd <= 30
    things = [thing for thing in scene.objects if thing.kind in FEATURES]
    assert category in {thing.kind for thing in things}
    assert np.sum([thing.mask for thing in things], axis=0).max() == 1
    assert sum(thing.area for thing in scene.of_kind(category)) >= 24


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_surroundings_can_be_drawn_without_it(category):
    for seed in range(3):
        assert not draw(category, seed, size=(160, 160), include=False).of_kind(category)


@pytest.mark.parametrize(
    "category", ["lake", "stadium", "pier", "bridge", "viaduct", "church", "factory", "railway", "intersection"]
)
def test_the_same_seed_gives_the_same_bytes(category):
    first, second = draw(category, size=(200, 140)), draw(category, size=(200, 140))
    assert np.array_equal(first.image, second.image)
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first.objects, second.objects, strict=True))
    assert not np.array_equal(first.image, draw(category, seed=1, size=(200, 140)).image)


@pytest.mark.parametrize(
    ("category", "count"),
    [("swimming pool", 6), ("tennis court", 5), ("storage tank", 4), ("lake", 3), ("island", 3), ("bridge", 2)],
)
def test_as_many_objects_as_requested_stand_apart_and_whole(category, count):
    for seed in range(4):
        things = draw(category, seed, size=(256, 256), instances=count).of_kind(category)
        assert len(things) == count
        assert all(label(thing.mask, np.ones((3, 3)))[1] == 1 for thing in things)


@pytest.mark.parametrize("category", ["tennis court", "factory", "lake", "wind turbine"])
def test_the_largest_of_several_is_clearly_larger_than_the_smallest(category):
    for seed in range(4):
        areas = [thing.area for thing in draw(category, seed, size=(256, 256), instances=3).of_kind(category)]
        assert max(areas) >= 1.2 * min(areas)


def test_the_category_is_seldom_the_largest_object_of_its_scene():
    largest = []
    for seed in range(4):
        for category in CATEGORIES:
            scene = draw(category, seed, size=(128, 128))
            areas = {}
            for thing in scene.objects:
                if thing.kind in CATEGORIES:
                    areas[thing.kind] = max(areas.get(thing.kind, 0), thing.mask.sum())
            if len(areas) > 1:
                largest.append(max(areas, key=areas.get) == category)
    assert len(largest) > 100
    assert 0.05 < np.mean(largest) <= 0.35


def test_what_resembles_the_category_stands_beside_it_as_well_as_in_its_place():
    for include in (True, False):
        scenes = [draw("tennis court", seed, size=(128, 128), include=include) for seed in range(20)]
        shown = [bool({"basketball court", "parking lot"} & {thing.kind for thing in s.objects}) for s in scenes]
        assert 8 <= sum(shown) <= 20


@pytest.mark.parametrize("size", [(96, 96), (96, 288), (369, 123)])
def test_a_scene_of_any_category_comes_out_at_small_and_long_sizes(size):
    for number, category in enumerate(CATEGORIES):
        include = number % 5 != 0
        scene = draw(category, 7, size=size, include=include, instances=(None, 1, 5)[number % 3])
        assert bool(scene.of_kind(category)) == include


def test_others_can_be_kept_out():
    for seed in range(6):
        scene = draw("stadium", seed, size=(160, 160), exclude={"airport helipad", "baseball field"})
        assert not {"airport helipad", "baseball field"} & {thing.kind for thing in scene.objects}


def test_a_target_stands_out_from_noise():
    """Inside and outside of a lake differ in colour by far more than the sensor's noise."""
    scene = draw("lake", size=(256, 256))
    mask = np.logical_or.reduce([thing.mask for thing in scene.of_kind("lake")])
    inside, outside = scene.image[mask].mean(axis=0), scene.image[~mask].mean(axis=0)
    assert np.abs(inside - outside).max() > 30


@pytest.mark.parametrize("size", [(2048, 96), (1024, 1024)])
def test_large_and_long_pictures_work(size):
    assert draw("river", size=size).image.shape[:2] == size


def test_bad_input_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'stadium'"):
        render_scene(np.random.default_rng(0), "stadion")
    with pytest.raises(EarthReasonError, match="96 to 4096"):
        draw("lake", size=(50, 500))
