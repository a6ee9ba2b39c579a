import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from earthreason import evaluate
from earthreason.errors import EarthReasonError
from earthreason.metrics.boundary import boundary_band, boundary_counts
from earthreason.metrics.evaluate import evaluate_protocols


def test_the_band_is_what_erosion_takes_away():
    rng = np.random.default_rng(0)
    mask = rng.random((40, 60)) < 0.97
    for width in (1, 2, 3):
        kept = binary_erosion(np.pad(mask, width), np.ones((3, 3)), iterations=width)[width:-width, width:-width]
        assert np.array_equal(boundary_band(mask, width), mask & ~kept)


def test_the_edge_of_the_image_is_an_outline():
    assert boundary_band(np.ones((5, 5), bool), 1).sum() == 16


def test_counts_of_a_shifted_square():
    truth = np.zeros((50, 50), bool)
    truth[10:30, 10:30] = True
    shared, union = boundary_counts(np.roll(truth, 10, axis=1), truth)
    assert 0 < shared < union
    assert boundary_counts(truth, truth)[0] == boundary_counts(truth, truth)[1]
    assert boundary_counts(None, truth)[0] == 0


def test_protocols_of_single_masks_have_no_boundary_iou():
    truth = {"a": np.ones((4, 4), bool)}
    with pytest.raises(EarthReasonError, match="lasers scores each mask on its own"):
        evaluate(truth, truth, "lasers", boundary=True)
    first, second = evaluate_protocols(truth, truth, ["native", "lasers"], boundary=True)
    assert first.scores["Boundary IoU"] == 1
    assert "Boundary IoU" not in second.scores
