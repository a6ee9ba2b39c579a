"""The picture has a row per question and a column per model, and no road leads to what it marks."""

import re

import numpy as np
import pytest
from PIL import Image

from benchmarks.readme_picture import choose, draw_answers, stands_clear
from earthreason.errors import EarthReasonError
from earthreason.predictors import Empty, Everything
from earthreason.synthetic.generate import compose_scene
from earthreason.types import Sample
from tests.conftest import ROOT

PAGES = ("README.md", "docs/tutorial.md", "docs/data.md")


def scene(number):
    """A scene of the sample's test split."""
    return compose_scene(7, "test", number).sample()


def sample(name, mask, category=None):
    picture = Image.fromarray(np.full((*mask.shape, 3), 90, np.uint8))
    return Sample(name, picture, mask, ["Where could a ship tie up?"], category=category)


def test_rows_and_columns_give_the_size(tmp_path):
    full, nothing = np.ones((32, 32), bool), np.zeros((32, 32), bool)
    models = {"all": Everything(), "none": Empty()}
    draw_answers(tmp_path / "p.jpg", [sample("a", full), sample("b", nothing)], models)
    with Image.open(tmp_path / "p.jpg") as picture:
        # columns of 2.6 inches at 110 dots per inch: image, truth and two models
        assert picture.width == 4 * 286


@pytest.mark.parametrize("page", PAGES)
def test_samples_that_pages_draw_stand_clear_of_roads(page):
    drawn = set(re.findall(r"earthreason show sample synthetic_s7_test_(\d+)", (ROOT / page).read_text()))
    assert all(stands_clear(scene(int(number))) for number in drawn)


def test_a_target_at_a_road_or_hardly_visible_does_not_stand_clear():
    assert scene(26).category == "bridge"
    assert not stands_clear(scene(26))
    assert scene(4).category == "intersection"
    assert not stands_clear(scene(4))
    assert scene(15).mask.mean() < 0.002
    assert not stands_clear(scene(15))


class ByName:
    """Answers by the red of the image: whole, left half or nothing."""

    def predict(self, images, questions):
        shape = images[0].size[::-1]
        left = np.zeros(shape, bool)
        left[:, : shape[1] // 5] = True
        return [{1: np.ones(shape, bool), 2: left, 3: None}[images[0].getpixel((0, 0))[0]]]


def test_hits_come_first_then_a_miss_and_an_empty_target_each_of_another_category(monkeypatch):
    monkeypatch.setattr("benchmarks.readme_picture.stands_clear", lambda sample: sample.sample_id != "at a road")
    full, nothing = np.ones((20, 20), bool), np.zeros((20, 20), bool)

    def told(name, red, mask, category):
        return Sample(name, Image.new("RGB", (20, 20), (red, 0, 0)), mask, ["Where?"], category=category)

    samples = [
        told("empty", 3, nothing, "a"),
        told("marked", 1, nothing, "b"),
        told("miss", 2, full, "c"),
        told("at a road", 1, full, "d"),
        told("hit", 1, full, "e"),
        told("again", 1, full, "e"),
        told("other", 1, full, "f"),
        told("late", 1, full, "g"),
    ]
    assert [each.sample_id for each in choose(samples, ByName(), 2)] == ["hit", "other", "miss", "empty"]
    with pytest.raises(EarthReasonError, match="too few"):
        choose(samples, ByName(), 4)
