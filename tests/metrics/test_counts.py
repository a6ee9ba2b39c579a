"""Tables of counts: their types, whatever the columns are made of, and the names of their questions."""

import numpy as np

from earthreason.metrics.counts import RegionCounts, name_key

# As JSON holds them: two questions about one sample.
COLUMNS = {
    "sample_id": ["b", "b"],
    "question_index": [0, 1],
    "intersection": [1, 0],
    "prediction_area": [2, 0],
    "truth_area": [4, 3],
    "grid_area": [100, 100],
    "box_intersection": [1, 0],
    "box_union": [5, 0],
    "truth_empty": [0, 0],
    "prediction_empty": [0, 1],
    "answered": [1, 0],
}


def test_columns_become_arrays_of_the_declared_types():
    table = RegionCounts.from_columns(COLUMNS)
    kinds = {name: column.dtype for name, column in table.columns().items()}
    truths = ("truth_empty", "prediction_empty", "answered", "failed")
    assert {name: kinds.pop(name) for name in truths} == dict.fromkeys(truths, np.dtype(bool))
    assert kinds.pop("sample_id") == np.dtype(object)
    assert set(kinds.values()) == {np.dtype(np.int64)}
    assert (~table.answered).tolist() == [False, True]
    assert table.union.tolist() == [5, 3]


def test_a_table_without_targets_has_one_row_a_question():
    assert RegionCounts.from_columns(COLUMNS).rows() == [("b", 0, 0), ("b", 1, 0)]
    several = {**COLUMNS, "question_index": [1, 1], "target_index": [0, 1]}
    assert RegionCounts.from_columns(several).rows() == [("b", 1, 0), ("b", 1, 1)]


def test_the_first_question_of_a_sample_is_named_without_its_number():
    assert name_key(("a", 0)) == "sample 'a'"
    assert name_key(("a", 3)) == "sample 'a' question 3"
