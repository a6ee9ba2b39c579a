"""A real Label Studio asks the assist for masks as its page does."""

import numpy as np
import pytest

from annotation_tools.assist.assistant import Assistant
from annotation_tools.assist.connect import connect_assist
from annotation_tools.assist.models import build_model
from annotation_tools.assist.subjects import ServerSubjects, WorkspaceSubjects
from annotation_tools.formats.brush import decode_brush
from annotation_tools.labelstudio.client import LabelStudioClient, LabelStudioError
from annotation_tools.labelstudio.project import LOCAL, Wishes, push_project

from .live import CENTRE, HEIGHT, WIDTH, disc, serving

pytestmark = pytest.mark.labelstudio


def ask(client, backend, task, *results):
    """Ask as the page of Label Studio does."""
    return client.call(
        "POST", f"/api/ml/{backend}/interactive-annotating", json={"task": task, "context": {"result": list(results)}}
    )


def click(column, row, positive=True):
    value = {"x": 100 * column / WIDTH, "y": 100 * row / HEIGHT, "width": 1}
    return {"type": "keypoint", "is_positive": positive, "value": value}


@pytest.mark.parametrize("key", [None, "secret"])
@pytest.mark.parametrize("source", ["workspace", "server"])
def test_label_studio_gets_the_mask_of_a_click(client, scene, source, key):
    project = push_project(client, scene, LOCAL, Wishes(["pond"])).project
    (task,) = client.tasks(project)
    subjects = WorkspaceSubjects(scene) if source == "workspace" else ServerSubjects(client)
    with serving(Assistant(build_model("grabcut", None, "cpu"), "grabcut", subjects), key) as url:
        backend = connect_assist(client, project, url, key)
        assert connect_assist(client, project, url, key) == backend
        assert client.call("GET", f"/api/ml/{backend}")["readable_state"] == "Connected"
        answer = ask(client, backend, task["id"], click(CENTRE[1], CENTRE[0]))
    (region,) = answer["data"]["result"]
    np.testing.assert_array_equal(decode_brush(region["value"]["rle"], HEIGHT, WIDTH), disc())


def test_a_wrong_key_is_refused_when_connecting(client, scene):
    project = push_project(client, scene, LOCAL, Wishes(["pond"])).project
    assistant = Assistant(build_model("grabcut", None, "cpu"), "grabcut", WorkspaceSubjects(scene))
    with serving(assistant, "secret") as url, pytest.raises(LabelStudioError, match="authentication parameters"):
        connect_assist(client, project, url, "guess")


def test_a_label_studio_that_refuses_private_addresses_says_how_to_allow_them(label_studio, scene):
    with LabelStudioClient(label_studio.url, label_studio.login.token) as client:
        project = push_project(client, scene, LOCAL, Wishes(["pond"])).project
        assistant = Assistant(build_model("grabcut", None, "cpu"), "grabcut", WorkspaceSubjects(scene))
        with serving(assistant) as url, pytest.raises(LabelStudioError, match="USE_DEFAULT_BANNED_SUBNETS=false"):
            connect_assist(client, project, url)
