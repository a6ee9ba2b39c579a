"""A model server that misbehaves, and the sample scenes."""

import threading

import pytest

from earthreason.data.reader import open_source
from tests.questions.fake_server import Server


@pytest.fixture
def server():
    running = Server(seed=1)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(scope="module")
def source():
    return open_source("sample")
