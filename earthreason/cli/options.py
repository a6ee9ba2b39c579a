"""Options that mean the same in every command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

CORES = os.cpu_count() or 1

CONFIG_HELP = (
    "Which data: 'default' is the official release, 'sample' the built-in synthetic scenes; 'rrsis-d', 'refsegrs' and "
    "'reasonseg' are read from --data-dir."
)
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        help=CONFIG_HELP,
        show_default="the predictions' own, else default",
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="train, validation (or val) or test; slices allowed.",
        show_default="the predictions' own, else test",
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the data. Default for the release: $EARTHREASON_DATA, then the Hub."),
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Also write the result as JSON to this file; '-' prints it.")
]
