"""Counts of many batches in narrow columns: what comes out is what Python's own numbers, lists and sorting give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthreason.masks.rle import encode_mask
from earthreason.metrics import blocks, facts
from earthreason.metrics.compact import CompactTables
from earthreason.metrics.counts import RegionCounts
from earthreason.metrics.facts import FactTable
from earthreason.metrics.protocols import PROTOCOLS
from earthreason.metrics.references import Reference

NATIVE, SQUARE = PROTOCOLS["native"].view, PROTOCOLS["segearth-r1"].view
PIXEL = encode_mask(np.ones((1, 1)))
AREAS = ("intersection", "prediction_area", "truth_area", "grid_area", "box_intersection", "box_union")
FLAGS = ("truth_empty", "prediction_empty", "answered", "failed")


def table_of(names) -> FactTable:
    table = FactTable("truth")
    for name in names:
        table.add(Reference(name, PIXEL))
    return table


def counts_of(rows) -> RegionCounts:
    """Make a table of (sample id, question, target, area, flag): every column of its kind has the same numbers."""
    ids = np.empty(len(rows), object)
    ids[:] = [row[0] for row in rows]
    area, flag = (np.array([row[place] for row in rows], kind) for place, kind in ((3, np.int64), (4, bool)))
    question, target = (np.array([row[place] for row in rows], np.int64) for place in (1, 2))
    columns = dict.fromkeys(AREAS, area) | dict.fromkeys(FLAGS, flag)
    return RegionCounts(sample_id=ids, question_index=question, target_index=target, **columns)


def rows_of(table: RegionCounts) -> list[tuple]:
    for name in (*AREAS[1:], *FLAGS[1:]):
        first = AREAS[0] if name in AREAS else FLAGS[0]
        assert np.array_equal(getattr(table, name), getattr(table, first))
    columns = (table.sample_id, table.question_index, table.target_index, table.intersection, table.truth_empty)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def join(names, batches) -> dict:
    compact = CompactTables(table_of(names))
    for batch in batches:
        compact.add({NATIVE: counts_of(batch)})
    return compact.join()


LARGE = st.sampled_from([0, 1, 255, 256, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40 + 1])
ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(0, 2), LARGE, st.booleans()),
    max_size=30,
    unique_by=lambda row: row[:3],
)


@settings(max_examples=150, deadline=None)
@given(names=st.permutations([f"s{n}" for n in range(8)] + ["ä", "ab"]), rows=ROWS, cuts=st.lists(st.integers(0, 30)))
def test_batches_of_any_size_join_to_the_sorted_rows(names, rows, cuts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 3)
        patch.setattr(facts, "BLOCK", 3)
        rows = [(names[number], *rest) for number, *rest in rows]
        ends = sorted(min(cut, len(rows)) for cut in cuts)
        batches = [rows[start:end] for start, end in zip([0, *ends], [*ends, len(rows)], strict=True)]
        assert rows_of(join(names, batches)[NATIVE]) == sorted(rows)


@pytest.mark.parametrize("step", [1, 7919])
def test_more_samples_than_a_block_keep_their_ids(step):
    count = 32_768 + 3  # one block and some
    order = [number * step % count for number in range(count)]
    names = [f"test-{number:07d}" for number in order]
    rows = [(name, 0, 0, number, False) for name, number in zip(names, order, strict=True)]
    joined = join(names, [rows[start : start + 5000] for start in range(0, count, 5000)])[NATIVE]
    assert joined.sample_id.tolist() == [f"test-{number:07d}" for number in range(count)]
    assert joined.intersection.tolist() == list(range(count))


@pytest.mark.parametrize("largest", [2**30 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40])
def test_unions_of_the_largest_areas_do_not_overflow(largest):
    rows = [("a", 0, 0, 0, False), ("b", 0, 0, largest, False)]
    table = join("ab", [rows[:1], rows[1:]])[NATIVE]
    assert table.prediction_area.tolist() == [0, largest]
    assert (table.prediction_area + table.truth_area).tolist() == [0, 2 * largest]
    assert table.union.tolist() == [0, largest]  # both masks are the same


def test_numbers_that_no_32_bits_hold_join_those_that_they_do():
    # 4,294,967,296 is 2 ** 32, and 2,147,483,648 is 2 ** 31.
    numbers = [7, 4_294_967_296, 2_147_483_648, 5]
    rows = [(name, 0, 0, number, False) for name, number in zip("abcd", numbers, strict=True)]
    table = join("abcd", [rows[:1], rows[1:2], rows[2:]])[NATIVE]
    assert table.intersection.tolist() == numbers
    assert int(table.intersection.sum()) == 6_442_450_956


def test_a_number_that_all_rows_share_is_stored_once_and_other_batches_end_that():
    rows = [(name, 0, 0, 5, True) for name in "abc"]
    same = join("abc", [rows[:2], rows[2:]])[NATIVE]
    assert same.intersection.strides == (0,)
    assert same.intersection.tolist() == [5, 5, 5]
    assert same.select(np.array([True, False, True])).rows() == [("a", 0, 0), ("c", 0, 0)]
    assert same.select(np.array([2])).intersection.tolist() == [5]
    assert len(same.select(np.zeros(3, bool))) == 0
    other = join("abc", [rows[:2], [("c", 0, 0, 6, False)]])[NATIVE]
    assert other.intersection.tolist() == [5, 5, 6]
    assert other.truth_empty.tolist() == [True, True, False]


def test_views_share_the_columns_that_their_tables_share():
    compact = CompactTables(table_of("ba"))
    table = counts_of([("b", 0, 0, 3, True), ("a", 0, 0, 4, False)])
    wider = RegionCounts(**(table.columns() | {"intersection": np.array([30, 40])}))
    compact.add({NATIVE: table, SQUARE: wider})
    joined = compact.join()
    assert joined[NATIVE].intersection.tolist() == [4, 3]
    assert joined[SQUARE].intersection.tolist() == [40, 30]
    assert joined[NATIVE].sample_id is joined[SQUARE].sample_id
    assert joined[NATIVE].truth_area is joined[SQUARE].truth_area


def test_a_stream_of_nothing_and_one_of_one_row():
    assert rows_of(join("a", [[]])[NATIVE]) == []
    assert rows_of(join("a", [[], [("a", 1, 2, 3, True)], []])[NATIVE]) == [("a", 1, 2, 3, True)]


def test_a_question_that_was_added_twice_has_two_rows():
    rows = [("a", 0, 0, 1, True), ("b", 0, 0, 1, True), ("a", 0, 0, 2, False)]
    assert rows_of(join("ab", [rows[:2], rows[2:]])[NATIVE]) == [rows[0], rows[2], rows[1]]


def test_counts_of_a_sample_without_facts_are_refused():
    with pytest.raises(KeyError, match="b"):
        join("a", [[("b", 0, 0, 1, True)]])
