"""Ten questions judged by keyboard alone, in a real browser against a real server."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from annotation_tools.review.model import ReviewJudgement
from annotation_tools.review.store import ReviewStore

from ..conftest import free_port
from .test_store import wait_until_up

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def page(chromium, tmp_path, release):
    port = free_port()
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.port, opened.release = port, release
    try:
        serve(opened, tmp_path / "review")
        opened.faults = []
        opened.on("pageerror", lambda error: opened.faults.append(str(error)))
        opened.on("console", lambda line: opened.faults.append(line.text) if line.type == "error" else None)
        opened.goto(f"http://127.0.0.1:{port}/")
        yield opened
    finally:
        context.close()
        stop(opened)


def serve(page, out):
    """Serve the review in a folder at the page's address."""
    command = [
        sys.executable,
        "-m",
        "annotation_tools",
        "review",
        str(page.release),
        "--out",
        str(out),
        "--port",
        str(page.port),
        "--overlap",
        "0",
        "--second-pass",
        "0",
    ]
    page.server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until_up(page.port)


def stop(page):
    page.server.kill()
    page.server.wait()


def waiting(page, store):
    """How many verdicts wait in the browser for a review."""
    return page.evaluate(f"JSON.parse(localStorage.getItem('earthreason-review-waiting-{store.review}-anna')).length")


def start(page, name="anna", place=0):
    page.locator("#reviewer:focus").wait_for()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    at(page, place)


def at(page, place):
    page.locator("#place", has_text=re.compile(rf"^{place + 1} ·")).wait_for()
    page.locator("#zoom", has_text="%").wait_for()


def saved(page):
    page.locator("#saved[data-state=saved]").wait_for()


def test_ten_questions_by_keyboard_alone(page, tmp_path):
    start(page)
    assert page.get_by_text("lighthouse").count() == 0
    steps = ["1", "a", "3 1 Enter", "r 2 5 Enter", "4 4 Enter", "u 8 Enter", "2 edit", "e edit", "1", "1"]
    for place, step in enumerate(steps):
        at(page, place)
        for key in step.split():
            if key == "edit":
                page.keyboard.press("Control+A")
                page.keyboard.type(f"Where would one find number {place}?")
                page.keyboard.press("Enter")
            else:
                page.keyboard.press(key)
        at(page, place + 1)
        saved(page)
    store = ReviewStore(tmp_path / "review" / "review.sqlite")
    given = list(store.verdicts())
    assert [v["verdict"] for v in given] == [
        "accept",
        "accept",
        "reject",
        "reject",
        "unsure",
        "unsure",
        "edit",
        "edit",
        "accept",
        "accept",
    ]
    assert given[3]["reasons"] == ["ambiguous", "wrong-empty"]
    assert given[7]["text"] == "Where would one find number 7?"
    assert all(v["seconds"] >= 0 for v in given)
    assert page.faults == []


def test_undo_notes_drafts_and_going_back(page, tmp_path):
    start(page)
    page.keyboard.press("n")
    page.keyboard.type("looks odd")
    page.keyboard.press("Enter")
    page.keyboard.press("1")
    at(page, 1)
    page.keyboard.press("z")
    at(page, 0)
    assert page.locator("[data-verdict][aria-pressed=true]").count() == 0
    page.keyboard.press("e")
    page.keyboard.press("End")
    page.keyboard.type(" Really?")
    page.get_by_text("Draft saved.").wait_for()
    page.reload()
    at(page, 0)
    page.keyboard.press("e")
    assert page.locator("#text").input_value().endswith("Really?")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    at(page, 1)
    page.keyboard.press("k")
    at(page, 0)
    store = ReviewStore(tmp_path / "review" / "review.sqlite")
    assert list(store.verdicts()) == []
    assert store.rows("SELECT json_extract(content, '$.note') FROM events WHERE kind = 'verdict'") == [("looks odd",)]
    assert page.faults == []


def test_undo_waits_for_the_verdict_under_way_and_takes_that_back(page, tmp_path):
    start(page)
    page.keyboard.press("1")
    at(page, 1)
    saved(page)
    page.route("**/api/verdict", lambda route: (page.wait_for_timeout(300), route.continue_()))
    for key in "1zz":
        page.keyboard.press(key)
    page.locator("#saved", has_text="undone").wait_for()
    at(page, 1)
    store = ReviewStore(tmp_path / "review" / "review.sqlite")
    assert [verdict["number"] for verdict in store.verdicts()] == [0]
    assert store.rows("SELECT kind, COUNT(*) FROM events GROUP BY kind ORDER BY kind")[1:] == [
        ("undo", 1),
        ("verdict", 2),
    ]
    page.keyboard.press("z")
    at(page, 0)
    page.keyboard.press("z")
    page.locator("#error", has_text="There is nothing to undo").wait_for()
    assert page.faults == []


def test_the_next_image_is_fetched_and_left_to_others_and_the_end_says_who_has_the_rest(page, tmp_path):
    store = ReviewStore(tmp_path / "review" / "review.sqlite")
    with page.expect_response(re.compile("/picture/2")):
        start(page)
    assert store.rows("SELECT reviewer, sample FROM claims") == [("anna", 1)]
    while (item := store.item("ben")) is not None:
        store.judge(
            ReviewJudgement(
                review=store.review,
                reviewer="ben",
                item=item.item,
                place=item.place,
                revision=0,
                verdict="accept",
                key=f"ben-{item.place:05d}",
            )
        )
    page.goto(f"http://127.0.0.1:{page.port}/review?reviewer=cleo")
    page.get_by_text("2 questions are assigned to others. If they leave an image unfinished for a day").wait_for()
    page.goto(f"http://127.0.0.1:{page.port}/review?reviewer=anna")
    for place in range(2):
        at(page, place)
        page.keyboard.press("1")
    page.get_by_text("Nothing is left to judge. Thank you.").wait_for()
    assert page.faults == []


def test_zoom_pan_opacity_and_mask_keys_change_what_is_drawn(page):
    start(page)
    pixels = "document.getElementById('canvas').toDataURL()"
    page.wait_for_timeout(300)
    for keys in (["m"], ["m", "]"], ["+"], ["ArrowLeft"]):
        before = page.evaluate(pixels)
        for key in keys:
            page.keyboard.press(key)
        page.wait_for_timeout(100)
        assert page.evaluate(pixels) != before, keys
    page.keyboard.press("0")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    assert page.faults == []


def test_a_server_that_dies_is_told_and_the_verdict_waits_for_it(page, tmp_path):
    start(page)
    store = ReviewStore(tmp_path / "review" / "review.sqlite")
    stop(page)
    page.keyboard.press("1")
    page.locator("#saved[data-state=failed]").wait_for()
    assert "1 not saved, retrying" in page.locator("#saved").inner_text()
    assert waiting(page, store) == 1
    page.keyboard.press("1")
    assert waiting(page, store) == 1
    serve(page, tmp_path / "review")
    at(page, 1)
    saved(page)
    (verdict,) = store.verdicts()
    assert (verdict["verdict"], verdict["number"]) == ("accept", 0)


def test_a_verdict_waits_until_its_own_review_is_served_again(page, tmp_path):
    start(page)
    store = ReviewStore(tmp_path / "review" / "review.sqlite")
    stop(page)
    page.keyboard.press("1")
    page.locator("#saved", has_text="1 not saved, retrying").wait_for()
    serve(page, tmp_path / "other")
    page.locator("#error", has_text="another review is now served at this address").wait_for()
    page.keyboard.press("1")
    assert page.locator("#question").inner_text() == "This review is no longer served here."
    assert page.locator("#saved").inner_text() == "1 not saved"
    page.goto(f"http://127.0.0.1:{page.port}/")
    start(page)
    assert waiting(page, store) == 1
    other = ReviewStore(tmp_path / "other" / "review.sqlite")
    assert list(store.verdicts()) == list(other.verdicts()) == []
    stop(page)
    serve(page, tmp_path / "review")
    page.goto(f"http://127.0.0.1:{page.port}/")
    start(page, place=1)
    assert [verdict["verdict"] for verdict in store.verdicts()] == ["accept"]
    assert waiting(page, store) == 0
