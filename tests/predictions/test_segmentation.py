"""Edges of the accepted forms of a mask, and the words of the refusals; `test_forms.py` has what the forms mean."""

import numpy as np
import pytest

from earthreason.masks.rle import encode_mask
from earthreason.predictions.schema import read_record

SIZE = (40, 50)
MASK = np.zeros(SIZE, bool)
MASK[10:30, 5:20] = True
RLE = encode_mask(MASK)


def read(value):
    return read_record({"sample_id": "a", "segmentation": value}, "[0]", lambda _: SIZE)


def fault_of(value):
    (fault,) = read(value)
    return fault


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.uint32])
def test_runs_may_be_an_array(kind):
    ends = np.flatnonzero(np.diff(MASK.ravel(order="F").astype(int), prepend=0))
    runs = np.diff([0, *ends, MASK.size]).astype(kind)
    assert read({"size": list(SIZE), "counts": runs}).segmentation == RLE


@pytest.mark.parametrize("value", ["abc", 5, 2.5, True])
def test_a_value_that_is_neither_object_nor_list_is_refused(value):
    assert fault_of(value).startswith("[0].segmentation: ")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            {"size": list(SIZE), "counts": b"\xff"},
            "[0].segmentation: counts as bytes are not ASCII; encode the mask again with pycocotools",
        ),
        (
            {"size": list(SIZE), "counts": [-1]},
            "[0].segmentation: uncompressed counts are run lengths: whole numbers, none negative,",
        ),
        (
            {"size": [65_536, 65_536], "counts": [1 << 32]},
            "[0].segmentation: a mask of run lengths has fewer than 2^32 pixels; write compressed counts",
        ),
        (
            [5],
            "[0].segmentation: segmentation as a list contains polygons [[x1, y1, x2, y2, ...], ...] or RLE objects,",
        ),
        ([RLE, 5], '[0].segmentation: mask 1 of the list: expected {"size": [height, width], "counts": "..."},'),
        ([RLE, {"size": ["x", 50], "counts": "0"}], "[0].segmentation: mask 1 of the list: size.0: "),
        ([RLE, {"size": list(SIZE)}], "[0].segmentation: mask 1 of the list: counts: "),
    ],
)
def test_refusals_say_what_is_wrong(value, words):
    assert fault_of(value).startswith(words)


@pytest.mark.parametrize("many", [10_000, 10_001])
@pytest.mark.parametrize("kind", ["masks", "rings"])
def test_ten_thousand_masks_or_rings_are_accepted_and_no_more(kind, many):
    found = read([RLE if kind == "masks" else [5, 10, 5, 10, 5, 10]] * many)
    if many > 10_000:
        assert f"{many} {kind} in one" in found[0]
    else:
        assert len(found.targets) == (many if kind == "masks" else 0)


def test_outlines_are_as_long_as_100_heights_and_widths():
    # Edges are as long as their longer side: 3,000 + 1,000 + 1,500 + 3,500 = 9,000 = 100 * (40 + 50).
    ring = [0, 0, 3000, 1000, 3500, 0, 3500, 1500]
    assert read([ring]).sample_id == "a"
    assert "outlines of 9001 pixels; at most 9000" in fault_of([[*ring[:6], 3501, 1500]])


@pytest.mark.parametrize("sign", [1, -1])
def test_coordinates_are_at_most_a_million(sign):
    million = sign * 1_000_000
    assert "outlines of" in fault_of([[million, 0, 0, 0, 0, 1]])  # it could be drawn, but the outline is too long
    assert f"has the coordinate {million + sign};" in fault_of([[million, 0, million + sign, 0, 0, 1]])
    assert f"has the coordinate {str(10**400)[:12]};" in fault_of([[10**400, 0, 0, 0, 0, 1]])
