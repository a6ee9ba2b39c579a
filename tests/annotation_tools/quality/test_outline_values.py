"""Distances between outlines, worked by hand."""

import numpy as np
import pytest

from annotation_tools.quality.masks import compare_drawings

from ..conftest import drawn


def test_hausdorff_95_is_the_95th_percentile_of_both_ways():
    # A line of ten pixels and its first pixel: the line is 0, 1, ... 9 pixels from the dot, the dot 0 from the line.
    line, dot = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    line[5, 3:13] = True
    dot[5, 3] = True
    (pair,) = compare_drawings({"a": [drawn("a", line, "anna"), drawn("a", dot, "ben")]})
    # Sorted: 0 0 1 2 3 4 5 6 7 8 9. The 95th percentile lies at index 0.95 * 10 = 9.5, between 8 and 9.
    assert pair.hausdorff95 == pytest.approx(8.5)
    assert pair.distance == pytest.approx(45 / 11)
    assert pair.iou == pytest.approx(1 / 10)
    assert pair.same_emptiness


def test_an_empty_mask_has_no_distance():
    line = np.ones((4, 4), bool)
    (pair,) = compare_drawings({"a": [drawn("a", line, "anna"), drawn("a", ~line, "ben")]})
    assert (pair.iou, pair.distance, pair.hausdorff95, pair.same_emptiness) == (0, None, None, False)
