"""Tiny real pictures, GeoTIFFs and workspaces."""

import re
import socket

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("rasterio", reason="the annotation extra is not installed")

from annotation_tools.drawing import draw
from annotation_tools.formats.base import AS_STATED
from annotation_tools.formats.registry import read_masks
from annotation_tools.imports import PLAIN, import_all
from annotation_tools.workspace import AnnotationTask, Workspace


def import_images(root, source, options=PLAIN):
    return import_all(root, source, (), options)[0]


def import_masks(root, path, options=PLAIN):
    return import_all(root, None, [path], options)[0]


def write_picture(path, height=20, width=30, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_geotiff(
    path, crs="EPSG:32632", dtype="uint16", size=(40, 60), bands=3, metres=0.5, origin=(500_000, 5_300_000)
):
    import rasterio
    from rasterio.transform import from_origin

    path.parent.mkdir(parents=True, exist_ok=True)
    degrees = crs is not None and crs == "EPSG:4326"
    transform = from_origin(9.0, 48.0, 1e-5, 1e-5) if degrees else from_origin(*origin, metres, metres)
    pixels = np.random.default_rng(1).integers(200, 3000, (bands, *size)).astype(dtype)
    with rasterio.open(
        path, "w", driver="GTiff", height=size[0], width=size[1], count=bands, dtype=dtype, crs=crs, transform=transform
    ) as target:
        target.write(pixels)
    return path


def box(size, top, left, bottom, right):
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def drawings_in(path, size, options=AS_STATED, names=("a",)):
    """Drawings of an annotation file for tasks of one size, given as height and width."""
    tasks = {name: AnnotationTask(name, f"{name}.png", *size) for name in names}
    return read_masks(path, tasks, options).drawings


@pytest.fixture
def workspace(tmp_path):
    """Four pictures of 20 x 30 pixels: a, b, c, d."""
    for number, name in enumerate("abcd"):
        write_picture(tmp_path / "pictures" / f"{name}.png", seed=number)
    import_images(tmp_path / "work", str(tmp_path / "pictures"))
    return Workspace.open(tmp_path / "work")


def drawn(task, mask, who, category="pond", **facts):
    facts = {"created": "2026-01-01T10:00:00Z", "seconds": 20.0, "tool": "test", "key": f"{who}-{task}"} | facts
    return draw(task, mask, category, annotator=who, **facts)


@pytest.fixture(scope="session")
def label_studio_folder(tmp_path_factory):
    """Where the data of `label_studio` are."""
    return tmp_path_factory.mktemp("label-studio")


@pytest.fixture(scope="session")
def label_studio(label_studio_folder):
    """A real Label Studio on a free port."""
    from annotation_tools.labelstudio.environment import environment_folder, installed_program
    from annotation_tools.labelstudio.server import local_server

    program = installed_program()
    if program is None:
        pytest.skip(f"no Label Studio in {environment_folder()}; `earthreason-annotation masks install` puts it there")
    with local_server(program, label_studio_folder, "127.0.0.1", free_port()) as running:
        yield running


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def annotate(client, task, drawing, seconds):
    """Save a drawing on a Label Studio in the name of the client's person."""
    from annotation_tools.formats.labelstudio import results_of_drawing

    body = {"result": results_of_drawing(drawing), "lead_time": seconds}
    client.call("POST", f"/api/tasks/{task}/annotations/", json=body)


def join(running, email):
    """Make an account on a Label Studio by its invitation; returns a client of that person and the password."""
    import httpx

    from annotation_tools.labelstudio.client import LabelStudioClient

    with LabelStudioClient(running.url, running.login.token) as owner:
        invite = owner.invite_url()
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        form = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', browser.get(invite).text)
        data = {"csrfmiddlewaretoken": form[1], "email": email, "password": "a-long-password-1"}
        browser.post(invite, data=data, headers={"Referer": invite}).raise_for_status()
        token = browser.get(f"{running.url}/api/current-user/token").json()["token"]
    return LabelStudioClient(running.url, token)
