"""Columns of numbers in blocks hold the numbers of a list."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthreason.metrics import blocks
from earthreason.metrics.blocks import NumberColumn

WHOLE = st.integers(0, 2**40) | st.sampled_from([0, 255, 256, 65_535, 65_536, 2**31, 2**32 - 1, 2**32])
FLOATS = st.floats(allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(numbers=st.lists(WHOLE, max_size=12) | st.lists(FLOATS, max_size=12))
def test_numbers_come_back_by_place_and_together(numbers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 3)
        column = NumberColumn()
        for number in numbers:
            column.append(number)
        assert len(column) == len(numbers)
        found = [column[place] for place in range(len(numbers))]
        assert list(map(type, found)) == list(map(type, numbers))
        assert np.array_equal(found, numbers, equal_nan=True)
        assert np.array_equal(column.join(), np.array(numbers), equal_nan=True)


@pytest.mark.parametrize(
    ("largest", "width"), [(255, 1), (256, 2), (65_535, 2), (65_536, 4), (4_294_967_295, 4), (4_294_967_296, 8)]
)
def test_numbers_take_the_bytes_of_the_largest(largest, width):
    column = NumberColumn()
    for number in (0, largest):
        column.append(number)
    assert column.join().dtype.itemsize == width


@pytest.mark.parametrize("number", [512, 0.5, float("nan")])
def test_a_block_of_equal_numbers_stores_one(number):
    column = NumberColumn()
    for _ in range(blocks.BLOCK):
        column.append(number)
    (block,) = column._blocks
    assert block.strides == (0,)
    assert np.array_equal(block, [number] * 32_768, equal_nan=True)
