"""Drawings settled by keyboard alone, in a real browser against a real server."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from annotation_tools.release import settled_entries
from annotation_tools.rulings import all_rulings, returned_comments

from ..conftest import box, drawn, free_port

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[3]
SIZE = (20, 30)
LEFT, RIGHT = box(SIZE, 2, 2, 12, 12), box(SIZE, 2, 8, 12, 20)


@pytest.fixture
def page(chromium, workspace):
    for task in "abcd":
        workspace.add_drawings([drawn(task, LEFT, "ana"), drawn(task, RIGHT, "ben", category="lake")])
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.port, opened.workspace, opened.faults = free_port(), workspace, []
    try:
        serve(opened)
        opened.on("pageerror", lambda error: opened.faults.append(str(error)))
        opened.goto(f"http://127.0.0.1:{opened.port}/")
        opened.locator("#by:focus").wait_for()
        opened.keyboard.type("Cléo 李")
        opened.keyboard.press("Enter")
        at(opened, "a")
        yield opened
    finally:
        context.close()
        stop(opened)


def serve(page):
    import httpx

    command = [sys.executable, "-m", "annotation_tools", "settle", str(page.workspace.root), "--port", str(page.port)]
    page.server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try:
            httpx.get(f"http://127.0.0.1:{page.port}/")
            return
        except httpx.TransportError:
            page.wait_for_timeout(100)
    raise AssertionError("the server did not come up")


def stop(page):
    page.server.kill()
    page.server.wait()


def at(page, task):
    page.locator("#place", has_text=f"· {task} ·").wait_for()
    page.locator("#panels figure").nth(3).wait_for()


def test_four_tasks_by_keyboard_alone(page):
    page.keyboard.press("2")
    at(page, "b")
    page.locator("#saved[data-state=saved]").wait_for()
    page.keyboard.press("c")
    page.keyboard.press("m")
    at(page, "c")
    page.keyboard.press("e")
    page.locator("#confirming[open]").wait_for()
    page.keyboard.press("Escape")
    assert len(all_rulings(page.workspace)) == 2
    page.keyboard.press("e")
    page.locator("#confirming[open] .primary").focus()
    page.keyboard.press("Enter")
    at(page, "d")
    page.keyboard.press("d")
    page.keyboard.type("only the pond")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing waits for a third person. Thank you.").wait_for()
    settled = settled_entries(page.workspace)
    assert np.array_equal(settled["a"].drawing.mask, RIGHT)
    assert (settled["b"].drawing.category, int(settled["b"].drawing.mask.sum())) == ("lake", 40)
    assert settled["c"].drawing.is_empty
    assert returned_comments(page.workspace) == {"d": "only the pond"}
    assert {ruling.by for ruling in all_rulings(page.workspace)} == {"Cléo 李"}
    assert page.faults == []


def test_a_ruling_waits_for_a_server_that_died_and_can_be_withdrawn(page):
    stop(page)
    page.keyboard.press("1")
    page.locator("#saved", has_text="not saved, retrying").wait_for()
    assert all_rulings(page.workspace) == []
    serve(page)
    at(page, "b")
    page.keyboard.press("k")
    at(page, "a")
    page.get_by_text("Cléo 李 ruled: ana's drawing").wait_for()
    page.keyboard.press("z")
    page.locator("#ruled").wait_for(state="hidden")
    assert [ruling.choice for ruling in all_rulings(page.workspace)] == ["drawing", "withdraw"]
    assert page.faults == []


def test_all_views_zoom_together_and_keys_change_them(page):
    pixels = "[...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())"
    page.wait_for_timeout(400)
    for key in ("h", "+", "ArrowLeft", "]", "h"):
        before = page.evaluate(pixels)
        page.keyboard.press(key)
        page.wait_for_timeout(200)
        after = page.evaluate(pixels)
        assert all(old != new for old, new in zip(before, after, strict=True)) or key == "]", key
    assert page.faults == []


def test_pictures_of_every_task_are_shown(page):
    blank = """[...document.querySelectorAll('canvas')].filter((canvas) => !canvas.width || !canvas.getContext('2d')
        .getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value)).length"""
    for task in "abcd":
        at(page, task)
        page.wait_for_timeout(600)
        assert page.evaluate(blank) == 0, task
        page.keyboard.press("j")
    assert page.faults == []


def test_a_phone_shows_everything_without_scrolling_sideways(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="take ben's").click()
    at(page, "b")
    assert page.faults == []
