"""The command `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..cli_completions import complete_device, complete_model
from ..cli_options import CHECKPOINT_HELP, DEVICE_HELP, DtypeOption, TaskOption, complete_checkpoint

_LARGEST_PICTURE = 178
"""Megapixels that Pillow decodes at most."""


def serve(
    checkpoint: Annotated[str, typer.Option("--checkpoint", help=CHECKPOINT_HELP, autocompletion=complete_checkpoint)],
    scenes: Annotated[
        Path | None, typer.Option("--scenes", help="Folder of GeoTIFFs (.tif, .tiff, .jp2) to offer as maps.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            show_default="auto",
            help=f"{DEVICE_HELP} Repeat it for a model on each.",
            autocompletion=complete_device,
        ),
    ] = None,
    dtype: DtypeOption = "float32",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            show_default="the checkpoint's",
            help="Model of the weights.",
            autocompletion=complete_model,
        ),
    ] = None,
    task: TaskOption = None,
    max_upload_mb: Annotated[
        int, typer.Option("--max-upload-mb", min=1, max=10_000, help="Largest upload in megabytes.")
    ] = 64,
    max_megapixels: Annotated[
        int,
        typer.Option(
            "--max-megapixels",
            min=1,
            max=_LARGEST_PICTURE,
            help="Largest picture, or area of a scene, that is asked about at once.",
        ),
    ] = 100,
    queue: Annotated[
        int, typer.Option("--queue", min=1, max=1000, help="Requests that may wait; others are told to come later.")
    ] = 16,
    keep_minutes: Annotated[
        float, typer.Option("--keep-minutes", min=0.1, help="How long answers can be downloaded.")
    ] = 60.0,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", help="Host name that people use for this server, besides its addresses; repeat it for more."
        ),
    ] = None,
) -> None:
    """Try a model: a page in the browser, and the same over HTTP.

    Example: earthreason-baselines serve --checkpoint tiny --scenes scenes
    """
    from earthreason.cli.app import stderr

    from ..common.devices import resolve_device
    from .running import load_models, open_port, serve_app
    from .settings import Settings, host_names

    devices = [resolve_device(name) for name in device or ["auto"]]
    settings = Settings(
        checkpoint=checkpoint,
        device=", ".join(devices),
        scenes=scenes,
        hosts=host_names(host, allow_host or []),
        upload_mb=max_upload_mb,
        megapixels=max_megapixels,
        queue=queue,
        keep_minutes=keep_minutes,
    )
    settings.check()
    with open_port(host, port) as listening:
        models = load_models(checkpoint, model, devices, dtype, None if task is None else task.value)
        serve_app(
            models,
            settings,
            listening,
            lambda address: stderr().print(
                f"{address}: {models[0].name}, {checkpoint}, on {settings.device}", soft_wrap=True, markup=False
            ),
        )
