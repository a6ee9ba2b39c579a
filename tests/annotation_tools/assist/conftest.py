"""A Label Studio that may ask an assist, and a workspace with a scene to click on."""

import numpy as np
import pytest
from PIL import Image

from annotation_tools.assist.connect import settings_for
from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.workspace import Workspace

from ..conftest import free_port, import_images
from .live import HEIGHT, WIDTH, disc


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Label Studio that may use models on this machine."""
    from annotation_tools.labelstudio.environment import environment_folder, installed_program
    from annotation_tools.labelstudio.server import local_server

    program = installed_program()
    if program is None:
        pytest.skip(f"no Label Studio in {environment_folder()}; `earthreason-annotation masks install`")
    folder = tmp_path_factory.mktemp("label-studio-assist")
    with local_server(program, folder, "127.0.0.1", free_port(), settings_for("http://127.0.0.1")) as running:
        yield running


@pytest.fixture
def client(server):
    with LabelStudioClient(server.url, server.login.token) as client:
        yield client


@pytest.fixture
def scene(tmp_path):
    """A workspace whose one picture shows a bright disc."""
    pixels = np.random.default_rng(0).normal((70, 90, 60), 6, (HEIGHT, WIDTH, 3))
    pixels[disc()] = np.random.default_rng(1).normal((200, 190, 180), 6, (int(disc().sum()), 3))
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "in" / "scene.png")
    import_images(tmp_path / "work", str(tmp_path / "in"))
    return Workspace.open(tmp_path / "work")
