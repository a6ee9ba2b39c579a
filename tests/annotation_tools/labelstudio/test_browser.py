"""A mask drawn with the mouse in a real Label Studio, and the pixels that come back."""

import numpy as np
import pytest

from annotation_tools.formats.brush import decode_coverage
from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.labelstudio.collect import collect_drawings
from annotation_tools.labelstudio.project import LOCAL, Wishes, push_project
from annotation_tools.workspace import Workspace

from ..conftest import import_images, write_picture

pytestmark = [pytest.mark.labelstudio, pytest.mark.browser]
HEIGHT, WIDTH = 240, 320


def test_a_stroke_of_the_brush_comes_back_where_it_was_drawn(label_studio, chromium, tmp_path):
    write_picture(tmp_path / "in" / "scene.png", HEIGHT, WIDTH)
    import_images(tmp_path / "work", str(tmp_path / "in"))
    workspace = Workspace.open(tmp_path / "work")
    with LabelStudioClient(label_studio.url, label_studio.login.token) as client:
        project = push_project(client, workspace, LOCAL, Wishes(["pond", "mill"])).project
        (task,) = client.tasks(project)
        context = chromium.new_context(viewport={"width": 1440, "height": 1000})
        page = context.new_page()
        page.goto(f"{label_studio.url}/user/login/")
        page.fill("#email", label_studio.login.email)
        page.fill("#password", label_studio.login.password)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda address: "login" not in address)
        page.wait_for_load_state("networkidle")
        page.goto(f"{label_studio.url}/projects/{project}/data?task={task['id']}")
        canvas = page.locator(".konvajs-content")
        canvas.wait_for()
        page.wait_for_timeout(1500)  # the canvas is there before the image has its size
        page.get_by_text("mill").first.click()
        page.keyboard.press("b")
        box = canvas.bounding_box()
        scale = box["width"] / WIDTH
        page.mouse.move(box["x"] + 100 * scale, box["y"] + 60 * scale)
        page.mouse.down()
        page.mouse.move(box["x"] + 200 * scale, box["y"] + 120 * scale, steps=10)
        page.mouse.up()
        with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST"):
            page.get_by_role("button", name="Submit").click()
        context.close()
        collect_drawings(client, workspace, LOCAL)
        (task,) = client.tasks(project)
    (drawing,) = workspace.drawings()["scene"]
    rows, columns = np.nonzero(drawing.mask)
    assert drawing.category == "mill"
    assert drawing.seconds > 0
    assert abs(rows.mean() - 90) < 5
    assert abs(columns.mean() - 150) < 5
    assert 90 < columns.max() - columns.min() < 140
    assert 50 < rows.max() - rows.min() < 90
    # The canvas antialiases the stroke, so its area is the sum of alpha; every pixel it touches would be too many.
    (stroke,) = [result for result in task["annotations"][0]["result"] if result["type"] == "brushlabels"]
    alpha = decode_coverage(stroke["value"]["rle"], HEIGHT, WIDTH)
    area = alpha.sum() / 255
    shares = drawing.mask.sum() / area, (alpha > 0).sum() / area
    assert abs(shares[0] - 1) < 0.01, shares
    assert shares[1] > 1.02, shares
