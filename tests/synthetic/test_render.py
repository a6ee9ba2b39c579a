import numpy as np
import pytest

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.synthetic.categories import CATEGORIES, FEATURES
from earthreason.synthetic.render import render_scene


def draw(category, seed=0, **options):
    return render_scene(np.random.default_rng([seed, CATEGORIES.index(category)]), category, **options)


def test_every_category_has_a_painter():
    assert set(FEATURES) == set(CATEGORIES)


@pytest.mark.parametrize("size", [(128, 128), (256, 256), (180, 320)])
@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_is_drawn_with_exact_disjoint_masks(category, size):
    scene = draw(category, size=size)
    assert scene.image.shape == (*size, 3)
    assert scene.image.dtype == np.uint8
    assert 0.5 <= scene.gsd <= 30
    things = [thing for thing in scene.objects if thing.kind in CATEGORIES]
    assert category in {thing.kind for thing in things}
    assert np.sum([thing.mask for thing in things], axis=0).max() == 1
    assert sum(thing.area for thing in scene.of_kind(category)) >= 24


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_surroundings_can_be_drawn_without_it(category):
    for seed in range(3):
        assert not draw(category, seed, size=(160, 160), include=False).of_kind(category)


@pytest.mark.parametrize("category", ["lake", "stadium", "pier", "bridge"])
def test_the_same_seed_gives_the_same_bytes(category):
    first, second = draw(category, size=(200, 140)), draw(category, size=(200, 140))
    assert np.array_equal(first.image, second.image)
    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first.objects, second.objects, strict=True))
    assert not np.array_equal(first.image, draw(category, seed=1, size=(200, 140)).image)


def test_several_objects_can_be_requested():
    scenes = [draw("swimming pool", seed, size=(256, 256), instances=4) for seed in range(5)]
    assert np.mean([len(scene.of_kind("swimming pool")) for scene in scenes]) > 3


def test_others_can_be_kept_out():
    for seed in range(6):
        scene = draw("stadium", seed, size=(160, 160), exclude={"helipad", "baseball field"})
        assert not {"helipad", "baseball field"} & {thing.kind for thing in scene.objects}


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
