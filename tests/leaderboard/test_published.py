import re

import pytest
from pydantic import ValidationError

from leaderboard.published import PublishedResult, columns_of, load_published
from leaderboard.splits import SplitContent, put_split

ROW = {
    "benchmark": "EarthReason",
    "model": "m",
    "date": "2025-01",
    "training": "trained",
    "backbone": "",
    "protocol": None,
    "grade": "B",
    "source": "paper",
    "link": "https://arxiv.org/abs/1",
    "scores": {"gIoU test": "70.1"},
}


def found(model):
    return next(result for result in load_published().results if result.model == model)


def test_the_file_holds_the_tables_of_the_paper():
    by_benchmark = load_published().benchmarks()
    assert {name: len(rows) for name, rows in by_benchmark.items()} == {
        "EarthReason": 21,
        "RRSIS-D": 15,
        "RefSegRS": 14,
    }
    official = found("SegEarth-R1")
    assert official.scores == {"cIoU val": "64.13", "cIoU test": "68.25", "gIoU val": "68.60", "gIoU test": "70.75"}
    assert (official.grade, official.protocol) == ("A", "segearth-r1")


def test_derived_figures_follow_from_their_arithmetic():
    derived = [cell for result in load_published().results for cell in result.derived.values()]
    assert len(derived) == 5
    for cell in derived:
        first, sign, second = cell.how.split()
        expected = float(first) + float(second) * (1 if sign == "+" else -1)
        assert cell.value == pytest.approx(expected)


def test_nothing_unverified_has_a_figure():
    unverified = [result for result in load_published().results if result.grade == "U"]
    assert {result.model for result in unverified} >= {"FIRM", "GRASP"}
    assert not any(result.scores or result.derived for result in unverified)


@pytest.mark.parametrize(
    "change",
    [
        {"grade": "U"},
        {"grade": "C"},
        {"scores": {}},
        {"protocol": "mine"},
        {"scores": {"gIoU test": "170"}},
        {"x": 1},
        {"link": "javascript:1"},
        {"derived": {"gIoU test": {"value": 1.0, "how": "1 + 0"}}},
    ],
)
def test_a_row_that_says_more_than_its_grade_is_refused(change):
    PublishedResult.model_validate(ROW)
    with pytest.raises(ValidationError):
        PublishedResult.model_validate({**ROW, **change})


def test_columns_come_in_order_of_first_mention():
    assert columns_of(load_published().benchmarks()["EarthReason"])[:4] == [
        "cIoU val",
        "cIoU test",
        "gIoU val",
        "gIoU test",
    ]


def test_the_page_shows_sources_disputes_and_arithmetic_apart_from_scored_rows(client):
    page = client.get("/published").text
    for said in ("68.25 + 6.65", "disputed", "Claimed, without a verified figure", "FIRM", "59.10"):
        assert said in page
    assert "73.9" not in page  # what FIRM's claim would come to
    assert client.get("/api/published").json()[3]["model"] == "SegEarth-R1"


@pytest.mark.parametrize(
    ("config", "row"),
    [("rrsis-d", ("66.40", "78.01")), ("refsegrs", ("72.45", "79.00"))],  # SegEarth-R1, Tables 3 and 4 of its paper
)
def test_the_board_of_another_dataset_shows_what_papers_report_on_it(client, database, references, config, row):
    with database.write() as session:
        put_split(session, config, "test", SplitContent(references, None), hidden=True)
    page = client.get(f"/?split={config}/test").text.partition("Reported in papers")[2]
    assert [tuple(found) for found in re.findall(r">SegEarth-R1</th><td>([\d.]+)</td><td>([\d.]+)</td>", page)] == [row]
