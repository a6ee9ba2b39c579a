import csv
import io

import pytest

from earthreason.errors import UnknownNameError
from leaderboard.board import BoardQuery, check_query, table_values
from leaderboard.exports import write_csv
from leaderboard.records import ALL, ScoreEstimate
from tests.leaderboard.listings import build_table, entry


def names(table):
    return [row.facts.id for row in table.rows]


def csv_of(table):
    return "".join(write_csv(table.query, table.columns, table.rows))


QUERY = BoardQuery("toy/test")


def test_rows_are_ordered_by_the_score_and_ties_with_the_best_are_marked():
    table = build_table([entry("c", 0.5), entry("a", 0.7), entry("b", 0.68)], QUERY)
    assert names(table) == ["a", "b", "c"]
    assert [row.place for row in table.rows] == [1, 2, 3]
    assert [row.tied for row in table.rows] == [False, True, False]
    assert [row.cells["gIoU"].best for row in table.rows] == [True, False, False]


def test_a_row_tied_with_the_second_but_not_with_the_best_is_not_marked():
    table = build_table([entry("a", 0.70), entry("b", 0.67), entry("c", 0.64)], QUERY)
    assert [row.tied for row in table.rows] == [False, True, False]


def test_ascending_turns_the_table_round_but_not_the_places():
    table = build_table([entry("a", 0.7), entry("b", 0.5)], QUERY.with_(ascending=True))
    assert [(row.facts.id, row.place) for row in table.rows] == [("b", 2), ("a", 1)]


def test_sorting_by_date_and_name_keeps_places_by_giou():
    rows = [entry("b", 0.7, published=100), entry("a", 0.5, published=200)]
    assert names(build_table(rows, QUERY.with_(sort="date"))) == ["a", "b"]
    by_name = build_table(rows, QUERY.sorted_by("model"))
    assert [(row.facts.id, row.place) for row in by_name.rows] == [("a", 2), ("b", 1)]


def test_ascending_names_go_from_a_to_z_and_the_first_click_asks_for_that():
    rows = [entry("Bbb", 0.7), entry("aaa", 0.5), entry("Ccc", 0.6)]
    assert names(build_table(rows, QUERY.with_(sort="model", ascending=True))) == ["aaa", "Bbb", "Ccc"]
    assert names(build_table(rows, QUERY.with_(sort="model"))) == ["Ccc", "Bbb", "aaa"]
    assert QUERY.sorted_by("model").ascending
    assert not QUERY.sorted_by("model").sorted_by("model").ascending
    assert not QUERY.sorted_by("model").sorted_by("cIoU").ascending
    assert QUERY.sorted_by("gIoU").ascending  # it was sorted by that


def test_rows_are_chosen_by_training_date_and_protocol():
    day = 86_400
    rows = [entry("old", 0.7, published=day), entry("new", 0.5, published=10 * day, training="zero-shot")]
    assert names(build_table(rows, QUERY.with_(training="zero-shot"))) == ["new"]
    assert names(build_table(rows, QUERY.with_(since="1970-01-05"))) == ["new"]
    assert names(build_table(rows, QUERY.with_(protocol="native"))) == []
    assert names(build_table(rows, QUERY.with_(subset="category: lake"))) == []


def test_equal_scores_stand_in_order_of_publication():
    assert names(build_table([entry("late", 0.7, published=9), entry("early", 0.7, published=1)], QUERY)) == [
        "early",
        "late",
    ]


def test_a_row_without_the_sorting_score_comes_last_and_has_no_place():
    rows = [entry("a", 0.9), entry("b", 0.1, cIoU=ScoreEstimate(0.4, 0.3, 0.5))]
    table = build_table(rows, QUERY.with_(sort="cIoU"))
    assert [(row.facts.id, row.place) for row in table.rows] == [("b", 1), ("a", None)]


def test_scales_hold_every_interval():
    table = build_table([entry("a", 0.7), entry("b", 0.5)], QUERY)
    assert table.scales["gIoU"] == pytest.approx((0.48, 0.72))


def test_another_protocol_starts_with_all_questions():
    assert QUERY.with_(subset="category: lake").with_(protocol="native").subset == ALL
    assert QUERY.with_(subset="category: lake").with_(sort="cIoU").subset == "category: lake"


@pytest.mark.parametrize("changes", [{"protocol": "x"}, {"training": "x"}, {"sort": "x"}])
def test_unknown_names_are_refused(changes):
    with pytest.raises(UnknownNameError):
        check_query(QUERY.with_(**changes))


def test_values_and_csv_hold_scores_with_intervals():
    table = build_table([entry("a", 0.7)], QUERY)
    assert table_values(table, 50)["rows"][0]["scores"]["gIoU"] == pytest.approx([0.7, 0.68, 0.72])
    row = next(csv.DictReader(io.StringIO(csv_of(table))))
    assert (row["model"], float(row["gIoU low"])) == ("a", pytest.approx(0.68))


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2", "@sum", "\tx"])
def test_a_spreadsheet_runs_no_cell(name):
    row = next(csv.DictReader(io.StringIO(csv_of(build_table([entry(name, 0.7)], QUERY)))))
    assert row["model"] == f"'{name}"


def test_the_number_of_all_questions_is_that_of_the_protocol():
    """The official protocol asks one question an image; others ask every one."""
    row = entry("a", 0.7)
    row.record.protocols["lasers"] = row.record.protocols["segearth-r1"].model_copy(update={"questions": 60})
    for protocol, questions in (("segearth-r1", 10), ("lasers", 60)):
        table = build_table([row], QUERY.with_(protocol=protocol))
        assert [subset.questions for subset in table.subsets] == [questions]
    assert row.record.subsets[0].questions == 10
