"""`earthreason-annotation settle`."""

from __future__ import annotations

from typing import Annotated

import typer

from earthreason.cli.app import stdout
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.plurals import count_of

from . import masks_cli
from .hosts import local_url, remote_hint
from .workspace import Workspace


def settle(
    work: masks_cli.WorkArgument,
    method: Annotated[
        str, typer.Option("--method", help="Method of merging masks drawn since `adjudicate`: majority or staple.")
    ] = "majority",
    min_iou: Annotated[
        float, typer.Option("--min-iou", min=0, max=1, help="Minimum IoU at which masks drawn since then agree.")
    ] = 0.7,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8766,
) -> None:
    """Settle drawings that differ, side by side in the browser. Every ruling is saved immediately.

    Example: earthreason-annotation settle work
    """
    from earthreason.cli.ports import check_free

    from .quality.adjudicate import METHODS, Rules
    from .review.serve import serve_app
    from .settle.app import create_app
    from .settle.queue import SettleQueue

    if method not in METHODS:
        raise UnknownNameError("--method", method, METHODS)
    workspace = Workspace.open(work)
    queue = SettleQueue(workspace, Rules(method, min_iou))
    if not queue.cases():
        raise EarthReasonError(f"{work}: no task waits for a third person")
    check_free(host, port)
    console = stdout()
    console.print(f"{count_of(len(queue.cases()), 'task')}: {local_url(host, port)}/", soft_wrap=True)
    if hint := remote_hint(host):
        console.print(hint, soft_wrap=True)
    console.print(f"Ctrl-C stops; rulings are in {work}. `masks export` and `adjudicate` follow them", soft_wrap=True)
    serve_app(lambda hosts: create_app(queue, hosts), host, port)
