"""Rows chosen and ordered in the database, on SQLite and PostgreSQL: one order for both, total, page by page."""

import random

import pytest
from sqlalchemy import select

from leaderboard.board import BoardQuery, check_query
from leaderboard.listing import Lister
from leaderboard.records import ScoreEstimate
from leaderboard.selection import canonical, read_table, select_rows
from leaderboard.tables import ListedScore
from tests.leaderboard.listings import entry

QUERY = BoardQuery("toy/test")
DAY = 86_400


@pytest.fixture
def listed(database):
    def put(*entries):
        with database.write() as session:
            lister = Lister(session)
            for one in entries:
                lister.add(one.facts, one.record.model_dump(mode="json"))

    return put


@pytest.fixture
def ids(database):
    def get(start=0, stop=None, **changes):
        with database.read() as session:
            query = canonical(session, check_query(QUERY.with_(**changes)))
            return [row.facts.id for row in read_table(session, select_rows(session, query), start, stop).rows]

    return get


def test_equal_scores_go_by_publication_and_then_by_id(listed, ids):
    rows = [entry(name, 0.5, published=day) for name, day in (("c", 2), ("b", 1), ("a", 2), ("Z", 2), ("é", 2))]
    random.Random(0).shuffle(rows)
    listed(*rows)
    assert ids() == ["b", "Z", "a", "c", "é"]  # by code points, whatever the database's language
    assert ids(ascending=True) == ["é", "c", "a", "Z", "b"]


def test_pages_put_together_are_the_whole_table(listed, ids):
    rng = random.Random(1)
    listed(*(entry(f"row{n}", rng.choice((0.1, 0.2)), published=rng.randrange(3)) for n in range(230)))
    for query in ({}, {"ascending": True}, {"sort": "date"}, {"sort": "model"}, {"sort": "size"}):
        pages = [ids(start, start + 50, **query) for start in range(0, 230, 50)]
        assert [len(page) for page in pages] == [50, 50, 50, 50, 30]
        together = [name for page in pages for name in page]
        assert sorted(together) == sorted(f"row{n}" for n in range(230))
        assert together == ids(**query)


def test_names_are_found_in_any_case_and_signs_of_patterns_are_letters(listed, ids):
    listed(
        entry("SegEarth", 0.9),
        entry("100%", 0.8),
        entry("1000", 0.7),
        entry("a_b", 0.6),
        entry("acb", 0.5),
        entry("ＭＯＤＥＬ Straße", 0.4),
        entry("other", 0.3, team="SEGMENTERS"),
    )
    assert ids(search="segearth") == ["SegEarth"]
    assert ids(search="SEG") == ["SegEarth", "other"]
    assert ids(search="0%") == ["100%"]
    assert ids(search="A_B") == ["a_b"]
    assert ids(search="model   STRASSE") == ["ＭＯＤＥＬ Straße"]
    assert ids(search="'; drop table listed_rows; --") == []


def test_sizes_are_filtered_and_sorted_and_rows_without_one_come_last(listed, ids):
    listed(entry("small", 0.1, size=10.0), entry("none", 0.9), entry("large", 0.5, size=7000.0))
    assert ids(largest=100.0) == ["small"]
    assert ids(sort="size", ascending=True) == ["small", "large", "none"]
    assert ids(sort="size") == ["large", "small", "none"]


def test_any_score_sorts_and_is_shown_while_it_does(listed, database):
    listed(
        entry("a", 0.1, **{"FP area": ScoreEstimate(0.3, None, None)}),
        entry("b", 0.2, **{"FP area": ScoreEstimate(0.1, None, None)}),
        entry("c", 0.3),
    )
    with database.read() as session:
        plain = read_table(session, select_rows(session, QUERY))
        table = read_table(session, select_rows(session, QUERY.with_(sort="FP area")))
    assert plain.columns == ("gIoU",)
    assert table.columns == ("gIoU", "FP area")
    assert [(row.facts.id, row.place) for row in table.rows] == [("b", 1), ("a", 2), ("c", None)]  # less is better
    assert [row.cells["FP area"].best for row in table.rows[:2]] == [True, False]


def test_the_worst_comes_first_but_rows_without_the_score_stay_last(listed, ids):
    listed(entry("a", 0.9), entry("b", 0.8, cIoU=ScoreEstimate(0.4, None, None)), entry("c", 0.7))
    assert ids(sort="cIoU") == ["b", "a", "c"]
    assert ids(sort="cIoU", ascending=True) == ["b", "a", "c"]


def test_marks_count_the_chosen_rows_only(listed, database):
    """The best of what a filter chooses is marked, not the best of all."""
    listed(entry("best", 0.9), entry("x1", 0.5, training="zero-shot"), entry("x2", 0.4, training="zero-shot"))
    with database.read() as session:
        table = read_table(session, select_rows(session, QUERY.with_(training="zero-shot")))
    assert [(row.facts.id, row.place, row.cells["gIoU"].best) for row in table.rows] == [
        ("x1", 1, True),
        ("x2", 2, False),
    ]
    assert table.scales["gIoU"] == pytest.approx((0.38, 0.52))


def test_dates_between_two_publications_are_one_query(listed, database, ids):
    listed(entry("old", 0.5, published=DAY), entry("new", 0.4, published=100 * DAY))
    with database.read() as session:
        since = {canonical(session, QUERY.with_(since=f"1970-02-{day:02d}")).since for day in range(1, 32)}
        never = {canonical(session, QUERY.with_(since=f"2{n:03d}-01-01")).since for n in range(50)}
    assert since == {"1970-04-11"}
    assert len(never) == 1
    assert ids(since="1970-02-31") == ["new"]
    assert ids(since="2999-01-01") == []


def test_a_row_that_leaves_after_the_choice_is_left_out(listed, database):
    from leaderboard.listing import _unlist

    listed(entry("a", 0.9), entry("b", 0.8), entry("c", 0.7))
    with database.read() as session:
        selection = select_rows(session, QUERY)
    with database.write() as session:
        _unlist(session, ["b"])
        assert len(session.scalars(select(ListedScore)).all()) == 2
    with database.read() as session:
        assert [row.facts.id for row in read_table(session, selection).rows] == ["a", "c"]
