import numpy as np
import pytest

from earthreason.geo.blending import Band, blend_window, marked, pack, probabilities_of


def test_the_window_falls_to_the_border_and_is_never_0():
    window = blend_window(9, 5)
    assert window.min() > 0
    assert window.argmax() == window.size // 2
    assert (np.diff(window[:5, 2]) > 0).all()
    assert np.array_equal(window, window[::-1, ::-1])


def test_blending_by_hand(tmp_path):
    # one row of 4 pixels, tiles at 0 and 2 of 3 and 2 pixels: the third pixel has both
    with Band(1, 1, 5, tmp_path) as band:
        band.add(0, 0, np.array([[[2.0, 2.0, 2.0]]], np.float32), np.array([[1.0, 2.0, 1.0]], np.float32))
        band.add(0, 2, np.array([[[-4.0, -4.0]]], np.float32), np.array([[3.0, 1.0]], np.float32))
        ((left, logits),) = band.finish(1)
    assert left == 0
    assert logits[0, 0, :4].tolist() == [2.0, 2.0, (2 * 1 - 4 * 3) / 4, -4.0]
    assert np.isnan(logits[0, 0, 4])


def test_rows_leave_and_zeros_follow(tmp_path):
    with Band(1, 3, 2, tmp_path) as band:
        band.add(0, 0, np.arange(6, dtype=np.float32).reshape(1, 3, 2), np.ones((3, 2), np.float32))
        band.move(2)
        ((_, logits),) = band.finish(3)
    assert logits[0, 0].tolist() == [4.0, 5.0]
    assert np.isnan(logits[0, 1:]).all()


def test_sums_on_disk_are_those_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    with Band(2, 8, 5000, tmp_path) as here, Band(2, 8, 5000, tmp_path, most=0) as there:
        assert (tmp_path / "sums.raw").stat().st_size == 3 * 8 * 5000 * 4
        for left in range(0, 4900, 90):
            logits, weights = rng.normal(size=(2, 8, 100)).astype(np.float32), rng.random((8, 100), np.float32)
            here.add(0, left, logits, weights)
            there.add(0, left, logits, weights)
        with (tmp_path / "saved").open("wb") as file:
            there.save(file, 3)
        for band in (here, there):
            band.move(5)
        ours, theirs = (np.concatenate([part for _, part in band.finish(8)], 2) for band in (here, there))
    assert np.array_equal(ours, theirs, equal_nan=True)
    assert not (tmp_path / "sums.raw").exists()
    with Band(2, 8, 5000, tmp_path) as again:
        again.load(tmp_path / "saved", 3)
        assert np.isnan(next(again.finish(8))[1][:, 3:]).all()
        assert not np.isnan(next(again.finish(8))[1][:, :3]).any()


def test_the_mask_is_decided_by_the_logit_and_not_by_the_rounded_probability():
    logits = np.array([1e-30, -1e-30, 0.0, 20.0, -20.0, np.nan], np.float32)
    packed = pack(logits)
    assert marked(packed).tolist() == [True, False, False, True, False, False]
    found = probabilities_of(packed)
    assert found[:5] == pytest.approx([0.5, 0.5, 0.5, 1, 0], abs=1e-4)
    assert np.isnan(found[5])


def test_probabilities_are_stored_to_a_thirty_thousandth():
    logits = np.linspace(-9, 9, 10_001, dtype=np.float32)
    exact = 1 / (1 + np.exp(-logits.astype(np.float64)))
    assert np.abs(probabilities_of(pack(logits)) - exact).max() <= 0.51 / 32766


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0, [1, 1, 1]), (0.25, [0, 1, 1]), (0.75, [0, 0, 1]), (1, [0] * 3)]
)
def test_the_threshold_is_one_of_probability(threshold, expected):
    logits = np.array([-2.0, 0.0, 2.0], np.float32)  # 0.119, 0.5 and 0.881
    assert marked(pack(logits, threshold)).tolist() == [bool(value) for value in expected]


@pytest.mark.parametrize("questions", [1, 8, 9, 30, 100])
def test_what_is_finished_at_once_stays_below_a_bound_for_any_number_of_questions(tmp_path, questions):
    """8 questions x 2,048 columns of 1,024 rows are 64 MiB of float32."""
    with Band(questions, 2, 5000, tmp_path) as band:
        parts = [(left, logits.shape) for left, logits in band.finish(1)]
    assert max(shape[0] * shape[2] for _, shape in parts) <= 8 * 2048
    assert [left for left, _ in parts] == list(np.cumsum([0] + [shape[2] for _, shape in parts])[:-1])
    assert sum(shape[2] for _, shape in parts) == 5000
