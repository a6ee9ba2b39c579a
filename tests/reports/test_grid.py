"""No text of the grid is cut off or runs into the next column."""

import itertools

import numpy as np
import pytest
from PIL import Image

from earthreason.reports.grid import Answer, draw_grid, save_grid
from earthreason.types import Sample

LONG = "After knee surgery, a runner may train only in flat laps, WWWWWWWW MMMMMMMM, that are seen from one spot. " * 4


def sample(question, height=60, width=60):
    mask = np.zeros((height, width), bool)
    mask[10:20, 10:20] = True
    return Sample("a", Image.new("RGB", (width, height), (90, 120, 90)), mask, [question])


@pytest.mark.parametrize("columns", [1, 2, 4])
def test_every_text_is_inside_its_column_and_above_its_picture(columns):
    samples = [sample("Short?"), sample(LONG), sample("W" * 90, 40, 160), sample("$5 or more?", 160, 40)]
    answers = [Answer("runs/a-long-name/checkpoint-0000014500, validation", None, 0.5)] * columns
    figure = draw_grid([(each, answers) for each in samples])
    figure.draw_without_rendering()
    width, height = figure.bbox.width, figure.bbox.height
    boxes = [axis.title.get_window_extent() for axis in figure.axes]
    lefts = [axis._left_title.get_window_extent() for axis in figure.axes]
    for number, (axis, box) in enumerate(zip(figure.axes, lefts, strict=True)):
        column = number % (2 + columns)
        assert box.x0 >= column * width / (2 + columns) - 1
        assert box.x1 <= (column + 1) * width / (2 + columns) + 1
        assert box.y1 <= height + 1
        assert box.y0 >= axis.get_window_extent().y1 - 1
    assert not any(box.width for box in boxes)  # no centred title besides
    for above, below in itertools.pairwise(range(0, len(figure.axes), 2 + columns)):
        assert lefts[below].y1 <= figure.axes[above].get_window_extent().y0 + 1


def test_the_grid_is_written_as_a_picture_of_its_columns(tmp_path):
    save_grid(tmp_path / "a.png", [(sample("Where?"), [Answer("m", None, 0.0)])])
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == 3 * 286  # 2.6 inches at 110 dots per inch
