"""The picture has a row per question and a column per model."""

import numpy as np
from PIL import Image

from benchmarks.readme_picture import draw_answers
from earthreason.predictors import Empty, Everything
from earthreason.types import Sample


def sample(name, mask):
    picture = Image.fromarray(np.full((*mask.shape, 3), 90, np.uint8))
    return Sample(name, picture, mask, ["Where could a ship tie up?"])


def test_rows_and_columns_give_the_size(tmp_path):
    full, nothing = np.ones((32, 32), bool), np.zeros((32, 32), bool)
    models = {"all": Everything(), "none": Empty()}
    draw_answers(tmp_path / "p.jpg", [sample("a", full), sample("b", nothing)], models)
    with Image.open(tmp_path / "p.jpg") as picture:
        # 2.6 by 3.0 inches a cell at 110 dots per inch; image, truth and two models
        assert picture.size == (4 * 286, 2 * 330)
