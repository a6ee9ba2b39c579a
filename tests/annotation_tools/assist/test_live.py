"""A real Label Studio asks the assist for masks as its page does."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import uvicorn
from PIL import Image

from annotation_tools.assist.assistant import Assistant
from annotation_tools.assist.connect import connect_assist, settings_for
from annotation_tools.assist.models import build_model
from annotation_tools.assist.server import create_app
from annotation_tools.assist.subjects import ServerSubjects, WorkspaceSubjects
from annotation_tools.formats.brush import decode_brush
from annotation_tools.labelstudio.client import LabelStudioClient, LabelStudioError
from annotation_tools.labelstudio.project import LOCAL, Wishes, push_project
from annotation_tools.workspace import Workspace

from ..conftest import free_port, import_images

pytestmark = pytest.mark.labelstudio
HEIGHT, WIDTH, CENTRE, RADIUS = 240, 320, (120, 150), 50


def disc():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - CENTRE[0]) ** 2 + (columns - CENTRE[1]) ** 2 <= RADIUS**2


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Label Studio that may use models on this machine."""
    from annotation_tools.labelstudio.environment import environment_folder, installed_program
    from annotation_tools.labelstudio.server import local_server

    program = installed_program()
    if program is None:
        pytest.skip(f"no Label Studio in {environment_folder()}; `python -m annotation_tools masks install`")
    folder = tmp_path_factory.mktemp("label-studio-assist")
    with local_server(program, folder, "127.0.0.1", free_port(), settings_for("http://127.0.0.1")) as running:
        yield running


@pytest.fixture
def workspace(tmp_path):
    pixels = np.random.default_rng(0).normal((70, 90, 60), 6, (HEIGHT, WIDTH, 3))
    pixels[disc()] = np.random.default_rng(1).normal((200, 190, 180), 6, (int(disc().sum()), 3))
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "in" / "scene.png")
    import_images(tmp_path / "work", str(tmp_path / "in"))
    return Workspace.open(tmp_path / "work")


@contextmanager
def serving(assistant, key=None):
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(assistant, key), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(server):
    with LabelStudioClient(server.url, server.login.token) as client:
        yield client


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
def test_label_studio_gets_the_mask_of_a_click(client, workspace, source, key):
    project = push_project(client, workspace, LOCAL, Wishes(["pond"])).project
    (task,) = client.tasks(project)
    subjects = WorkspaceSubjects(workspace) if source == "workspace" else ServerSubjects(client)
    with serving(Assistant(build_model("grabcut", None, "cpu"), "grabcut", subjects), key) as url:
        backend = connect_assist(client, project, url, key)
        assert connect_assist(client, project, url, key) == backend
        assert client.call("GET", f"/api/ml/{backend}")["readable_state"] == "Connected"
        answer = ask(client, backend, task["id"], click(CENTRE[1], CENTRE[0]))
    (region,) = answer["data"]["result"]
    np.testing.assert_array_equal(decode_brush(region["value"]["rle"], HEIGHT, WIDTH), disc())


def test_a_wrong_key_is_refused_when_connecting(client, workspace):
    project = push_project(client, workspace, LOCAL, Wishes(["pond"])).project
    assistant = Assistant(build_model("grabcut", None, "cpu"), "grabcut", WorkspaceSubjects(workspace))
    with serving(assistant, "secret") as url, pytest.raises(LabelStudioError, match="authentication parameters"):
        connect_assist(client, project, url, "guess")


def test_a_label_studio_that_refuses_private_addresses_says_how_to_allow_them(label_studio, workspace):
    with LabelStudioClient(label_studio.url, label_studio.login.token) as client:
        project = push_project(client, workspace, LOCAL, Wishes(["pond"])).project
        assistant = Assistant(build_model("grabcut", None, "cpu"), "grabcut", WorkspaceSubjects(workspace))
        with serving(assistant) as url, pytest.raises(LabelStudioError, match="USE_DEFAULT_BANNED_SUBNETS=false"):
            connect_assist(client, project, url)
