"""A scene with a bright disc, and an assist that serves in this process."""

import threading
import time
from contextlib import contextmanager

import numpy as np
import uvicorn

from annotation_tools.assist.server import create_app

from ..conftest import free_port

HEIGHT, WIDTH, CENTRE, RADIUS = 240, 320, (120, 150), 50


def disc():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - CENTRE[0]) ** 2 + (columns - CENTRE[1]) ** 2 <= RADIUS**2


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
