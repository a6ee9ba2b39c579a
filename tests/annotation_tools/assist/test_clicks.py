"""Clicks of the mouse in a real Label Studio: the page asks the assist, and the masks are submitted and collected."""

import json

import numpy as np
import pytest

from annotation_tools.assist.assistant import Assistant
from annotation_tools.assist.connect import connect_assist
from annotation_tools.assist.models import build_model
from annotation_tools.assist.subjects import WorkspaceSubjects
from annotation_tools.labelstudio.collect import collect_drawings
from annotation_tools.labelstudio.project import LOCAL, Wishes, push_project

from .live import CENTRE, HEIGHT, WIDTH, disc, serving

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]


class Page:
    """The labelling page of a task, used as people use it."""

    def __init__(self, browser, server, project, task):
        self.page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
        self.page.goto(f"{server.url}/user/login/")
        self.page.fill("#email", server.login.email)
        self.page.fill("#password", server.login.password)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda address: "login" not in address)
        self.page.wait_for_load_state("networkidle")
        self.page.goto(f"{server.url}/projects/{project}/data?task={task}")
        self.canvas = self.page.locator(".konvajs-content")
        self.canvas.wait_for()
        self.page.wait_for_timeout(1500)  # the canvas is there before the image has its size

    def switch_on(self, text):
        self.page.locator("label").filter(has_text=text).click()

    def regions(self):
        return self.page.locator(".lsf-outliner-item").count()

    def auto_detect(self):
        return self.page.locator(".lsf-tool_smart").first

    def point(self, column, row):
        box = self.canvas.bounding_box()
        scale = box["width"] / WIDTH
        return box["x"] + (column + 0.5) * scale, box["y"] + (row + 0.5) * scale

    def asked(self, action):
        """Act, and return the results that Label Studio sent to the assist because of it, and its answer."""
        with self.page.expect_response(lambda answer: "interactive-annotating" in answer.url) as response:
            action()
        sent = json.loads(response.value.request.post_data)["context"]["result"]
        self.page.wait_for_timeout(500)  # the suggestion is drawn after the answer
        return sent, response.value.json()["data"]["result"]

    def click(self, column, row, modifier=None):
        def act():
            if modifier:
                self.page.keyboard.down(modifier)
            self.page.mouse.click(*self.point(column, row))
            if modifier:
                self.page.keyboard.up(modifier)

        return self.asked(act)

    def drag(self, start, end):
        def act():
            self.page.mouse.move(*self.point(*start))
            self.page.mouse.down()
            self.page.mouse.move(*self.point(*end), steps=10)
            self.page.mouse.up()

        return self.asked(act)

    def submit(self):
        is_saved = lambda answer: "/annotations" in answer.url and answer.request.method == "POST"  # noqa: E731
        with self.page.expect_response(is_saved):
            self.page.get_by_test_id("bottombar-submit-button").click()
        self.page.context.close()


@pytest.fixture
def start(client, server, chromium, scene):
    """Open the page of the scene's task with Auto-Annotation on; yields a function that collects its one drawing."""
    project = push_project(client, scene, LOCAL, Wishes(["pond", "mill"])).project
    (task,) = client.tasks(project)
    assistant = Assistant(build_model("grabcut", None, "cpu"), "grabcut", WorkspaceSubjects(scene))
    with serving(assistant) as url:
        connect_assist(client, project, url)
        page = Page(chromium, server, project, task["id"])
        page.page.get_by_text("mill").first.click()
        assert page.regions() == 0  # opening a task has put nothing into the drawing
        assert page.auto_detect().count() == 0
        page.switch_on("Auto-Annotation")
        page.auto_detect().click()

        def collect():
            collect_drawings(client, scene, LOCAL)
            (drawing,) = scene.drawings()["scene"]
            assert drawing.category == "mill"
            return drawing.mask

        yield page, collect


def test_an_accepted_mask_of_a_click_is_collected(start):
    page, collect = start
    (sent,), (region,) = page.click(CENTRE[1], CENTRE[0])
    assert (sent["type"], sent["is_positive"], sent["from_name"]) == ("keypoint", True, "assist_click")
    assert sent["value"]["x"] * WIDTH / 100 == pytest.approx(CENTRE[1] + 0.5, abs=0.5)
    assert sent["value"]["y"] * HEIGHT / 100 == pytest.approx(CENTRE[0] + 0.5, abs=0.5)
    assert region["type"] == "brushlabels"
    page.page.get_by_test_id("bottombar-accept-suggestions-button").click()
    page.submit()
    np.testing.assert_array_equal(collect(), disc())


def test_a_mask_is_accepted_by_itself_with_auto_accept(start):
    page, collect = start
    page.switch_on("Auto-Accept Suggestions")
    page.click(CENTRE[1], CENTRE[0])
    page.submit()
    np.testing.assert_array_equal(collect(), disc())


def test_a_second_press_of_auto_detect_gives_a_box(start):
    page, collect = start
    page.auto_detect().click()
    (sent,), _ = page.drag((85, 55), (215, 185))
    assert (sent["type"], sent["from_name"]) == ("rectangle", "assist_box")
    page.page.get_by_test_id("bottombar-accept-suggestions-button").click()
    page.submit()
    np.testing.assert_array_equal(collect(), disc())


def test_a_click_with_alt_shows_what_is_not_the_target(start):
    page, _ = start
    page.click(CENTRE[1], CENTRE[0])
    sent, _ = page.click(20, 20, "Alt")
    assert [result["is_positive"] for result in sent if result["type"] == "keypoint"] == [True, False]
