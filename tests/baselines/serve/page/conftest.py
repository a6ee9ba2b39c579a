"""Servers on free ports that end with the test."""

import contextlib
import socket
import threading
import time


@contextlib.contextmanager
def running(app):
    """Serve an application on a free port; gives its address and the server."""
    import uvicorn

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", server
        server.should_exit = True
        thread.join(10)
