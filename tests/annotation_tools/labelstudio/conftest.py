"""A fake Label Studio, and a client of it."""

import pytest

from annotation_tools.drawing import draw
from annotation_tools.formats.labelstudio import results_of_drawing
from annotation_tools.labelstudio.client import LabelStudioClient
from annotation_tools.labelstudio.project import LOCAL, Wishes, push_project

from ..conftest import box
from .fake import FakeLabelStudio

SIZE = (20, 30)
MASK, OTHER = box(SIZE, 3, 4, 9, 20), box(SIZE, 1, 1, 9, 9)


@pytest.fixture
def server():
    return FakeLabelStudio()


@pytest.fixture
def client(server):
    with LabelStudioClient("http://ls.example", "secret", server.transport) as connected:
        yield connected


@pytest.fixture
def pushed(client, workspace):
    push_project(client, workspace, LOCAL, Wishes(["pond", "mill"]))
    return workspace


def result(mask=MASK, category="pond"):
    return results_of_drawing(draw("x", mask, category))
