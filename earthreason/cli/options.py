"""Options that mean the same in every command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

CORES = os.cpu_count() or 1

ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        help="Which data: 'default' is the official release, 'sample' the built-in synthetic scenes.",
        show_default="the predictions' own, else default",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="train, validation (or val) or test.", show_default="the predictions' own, else test"),
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the release. Default: $EARTHREASON_DATA, then the Hub.")
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Also write the result as JSON to this file; '-' prints it.")
]
