"""The picture has a row per question and a column per model, and no road leads to what it marks."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.readme_picture import choose, draw_answers
from earthreason.errors import EarthReasonError
from earthreason.predictors import Empty, Everything
from earthreason.types import Sample


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
