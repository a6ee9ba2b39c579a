"""Score over time and by size: which rows lead, worked by hand, and what the page draws."""

import re

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from leaderboard import progress
from leaderboard.listing import Lister
from leaderboard.progress import read_progress
from leaderboard.tables import Base
from tests.leaderboard.listings import entry
from tests.leaderboard.toys import METADATA, make_predictions


def read(*rows):
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        lister = Lister(session)
        for one in rows:
            lister.add(one.facts, one.record.model_dump(mode="json"))
        return read_progress(session, "toy/test", "segearth-r1", "gIoU")


def names(points, leading=True):
    return [one.model for one in points if one.leads == leading]


def test_who_led_when_published_and_who_leads_for_its_size():
    found = read(
        entry("first", 0.5, published=1, size=100.0),
        entry("worse", 0.4, published=2, size=10.0),
        entry("equal", 0.5, published=3, size=50.0),
        entry("better", 0.6, published=4, size=1000.0),
        entry("unsized", 0.7, published=5),
        entry("large and worse", 0.55, published=6, size=2000.0),
    )
    assert found.rows == 6
    assert names(found.over_time) == ["first", "better", "unsized"]
    assert names(found.over_time, leading=False) == ["worse", "equal", "large and worse"]
    assert names(found.by_size) == ["worse", "equal", "better"]  # 10, 50 and 1000 million
    assert names(found.by_size, leading=False) == ["first", "large and worse"]


def test_of_two_models_of_one_size_the_better_leads():
    found = read(entry("b", 0.4, published=1, size=10.0), entry("a", 0.6, published=2, size=10.0))
    assert names(found.by_size) == ["a"]


def test_plots_stay_small_and_keep_all_that_led(monkeypatch):
    monkeypatch.setattr(progress, "MOST_POINTS", 4)
    rising = [entry(f"r{n}", 0.1 + n / 100, published=n) for n in range(3)]
    below = [entry(f"b{n}", 0.05 + n / 1000, published=10 + n) for n in range(9)]
    found = read(*rising, *below)
    assert [one.model for one in found.over_time] == ["r0", "r1", "r2", "b8"]


@pytest.fixture
def page(hand, references):
    for seed, noise in enumerate((0.3, 0.05, 0.2)):
        metadata = {**METADATA, "model": f"M<{seed}>", "parameters_millions": 10.0 ** (seed + 1)}
        hand.published(make_predictions(references, seed, noise), split="toy/open", metadata=metadata)
    return hand.client.get("/progress?split=toy/open")


def test_the_page_draws_both_plots_and_names_the_leaders(hand, page):
    assert page.status_code == 200
    assert page.text.count("<circle") == 6
    assert page.text.count('class="leads"') == 4  # M0 and M1, in both
    table = page.text.partition("Best for their size")[2]
    assert re.findall(r"M&lt;(\d)&gt;</a></th><td>[\d.]+</td><td class=\"text\">([^<]+)", table) == [
        ("0", "10 M"),
        ("1", "100 M"),
    ]
    assert "/progress?split=toy%2Fopen" in hand.client.get("/?split=toy/open").text
    assert hand.client.get("/progress?split=toy/open&sort=cIoU").text.count("<circle") == 6
    assert hand.client.get("/progress?split=no/split").status_code == 404
    assert "No model has this score yet" in hand.client.get("/progress?split=toy/test").text
    tag = {"If-None-Match": page.headers["etag"]}
    assert hand.client.get("/progress?split=toy/open", headers=tag).status_code == 304


def test_a_single_row_without_a_size_is_drawn(hand, references):
    hand.published(make_predictions(references))
    text = hand.client.get("/progress?split=toy/test").text
    assert text.count("<circle") == 1
    assert "No model states its size" in text
    score = hand.client.get("/api/board?split=toy/test").json()["rows"][0]["scores"]["gIoU"][0]
    assert f"<title>Model A: {100 * score:.0f}, " in text  # whole per cent
