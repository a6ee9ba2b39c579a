"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.completions import complete_config, complete_split
from earthreason.errors import EarthReasonError
from earthreason.files import refuse_folder


def _refuse_empty(source: str) -> str:
    if not source:  # a variable of the shell that is not set; as a path it would be the current folder
        raise typer.BadParameter("it is empty; give a folder, a file or a configuration such as sample")
    return source


def refuse_folder_early(file: Path | None) -> Path | None:
    """Check a file to be written before the command works."""
    if file is not None:
        refuse_folder(file)
    return file


def refuse_file_early(folder: Path | None) -> Path | None:
    """Check a folder to be written before the command works."""
    if folder is not None and folder.exists() and not folder.is_dir():
        raise EarthReasonError(f"{folder} is a file; give the name of a folder")
    return folder


CORES = os.cpu_count() or 1
CONFIG_HELP = (
    "Dataset configuration: 'default' is the official release, 'sample' and 'diagnostic' the built-in scenes; others, "
    "such as 'rrsis-d', are read from --data-dir; `earthreason datasets` lists all."
)
ConfigOption = Annotated[
    str | None,
    typer.Option(help=CONFIG_HELP, show_default="the predictions', else default", autocompletion=complete_config),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        help="Split: train, validation (or val) or test; slices are allowed.",
        autocompletion=complete_split,
        show_default="the predictions', else test",
    ),
]
DataDirOption = Annotated[
    Path | None, typer.Option(help="Folder of the data. Default for the release: $EARTHREASON_DATA, then the Hub.")
]
JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json",
        help="Also write the result to this JSON file; '-' prints only the JSON.",
        callback=refuse_folder_early,
    ),
]
ReportOption = Annotated[
    Path | None, typer.Option(help="Write an HTML page into this folder.", callback=refuse_file_early)
]
ProcessesOption = Annotated[int, typer.Option(min=1, help="Number of processes.", show_default="all cores")]
ShardOption = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Do part I of N only, such as 2/4: the work of one of several processes or machines.",
        show_default="everything",
    ),
]
OutFolder = Annotated[Path, typer.Option(help="Folder to write; it must not exist, or be empty.")]
PredictionsPath = Annotated[
    Path,
    typer.Argument(
        help="Predictions: JSON, JSON Lines or COCO results, also packed by gzip; or a folder, zip or .npz of masks."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse data with broken samples instead of leaving them out.")
]
MaxLeftOutOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Largest share of a split that may be left out because its files are broken.",
        show_default="0.02, or $EARTHREASON_MAX_LEFT_OUT",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Score only the first samples of the split, at most so many.",
        show_default="the predictions', else all",
    ),
]
SampleLimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Read only the first samples of each split, at most so many.")
]
SourceConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        help="Dataset in the folder, such as 'gres'.",
        show_default="recognised by its files",
        autocompletion=complete_config,
    ),
]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="Folder, file or configuration ('sample'), in any format that `export` writes.",
        autocompletion=complete_config,
        callback=_refuse_empty,
    ),
]
