"""Division of a job into parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earthreason.errors import EarthReasonError
from earthreason.shards import Shard, check_complete


@given(st.integers(0, 5000), st.integers(1, 300))
def test_parts_are_neighbours_that_make_the_whole_and_differ_by_one_item_at_most(total, count):
    ranges = [Shard(number, count).items_of(total) for number in range(1, count + 1)]
    assert [item for part in ranges for item in part] == list(range(total))
    sizes = {len(part) for part in ranges}
    assert max(sizes) - min(sizes) <= 1


def test_ten_items_in_four_parts():
    # By hand: the cuts are at 10/4, 20/4 and 30/4, rounded down.
    assert [list(Shard(n, 4).items_of(10)) for n in (1, 2, 3, 4)] == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]


@pytest.mark.parametrize("text", ["", "2", "2/", "/4", "a/b", "1.5/2", "-1/2", "2/4/6", "٢/٤"])
def test_another_form_is_refused_with_an_example(text):
    with pytest.raises(EarthReasonError, match="write I/N, such as 2/4"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["0/4", "5/4"])
def test_parts_count_from_one_to_n(text):
    with pytest.raises(EarthReasonError, match=f"--shard {text}: parts count from 1, so I is from 1 to 4"):
        Shard.parse(text)


@pytest.mark.parametrize("text", ["1/0", "1/100001"])
def test_the_number_of_parts_has_limits(text):
    with pytest.raises(EarthReasonError, match="from 1 to 100,000"):
        Shard.parse(text)


def test_a_part_is_written_as_it_is_read():
    assert str(Shard.parse(" 3/12 ")) == "3/12"


@pytest.mark.parametrize(
    ("shards", "reason"),
    [
        ([], "no parts"),
        (["1/3", "3/3"], "missing parts: 2/3"),
        (["1/2", "2/2", "1/2"], "part 1/2 is given twice, in file0 and in file2"),
        (["1/2", "2/3"], "file1 is part 2/3, but file0 is part 1/2"),
    ],
)
def test_a_merge_needs_every_part_of_one_division_once(shards, reason):
    with pytest.raises(EarthReasonError, match=reason):
        check_complete((f"file{n}", Shard.parse(text)) for n, text in enumerate(shards))


def test_a_complete_division_is_accepted_in_any_order():
    check_complete([("b", Shard(2, 2)), ("a", Shard(1, 2))])
