"""Options that commands of `earthreason-baselines` share."""

from __future__ import annotations

from typing import Annotated

import typer

from earthreason.cli.completions import names_beginning
from earthreason.errors import DataFormatError

from .checkpoints import shipped_checkpoints
from .cli_completions import complete_device, complete_dtype
from .cli_weights import TaskName


def shipped_names() -> str:
    """List the shipped checkpoints for the help, which must not fail: what uses a broken index reports it."""
    try:
        return ", ".join(shipped_checkpoints()) or "none"
    except DataFormatError:
        return "their index is broken"


SHIPPED = shipped_names()


def complete_checkpoint(incomplete: str) -> list[str]:
    """Complete names of shipped checkpoints; where none fits, the shell completes folders."""
    return names_beginning(SHIPPED.split(", "), incomplete)


CHECKPOINT_HELP = f"Folder or Hub id of the weights, or a checkpoint of this package by name ({SHIPPED})."

DEVICE_HELP = "Torch device, such as cpu, cuda, cuda:1 or mps; `auto` takes a GPU if there is one."
DeviceOption = Annotated[str, typer.Option("--device", help=DEVICE_HELP, autocompletion=complete_device)]

DtypeOption = Annotated[
    str,
    typer.Option(
        "--dtype", help="Data type of the model: float32, bfloat16 or float16.", autocompletion=complete_dtype
    ),
]

ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--no-target-threshold",
        min=0,
        max=1,
        show_default="the checkpoint's",
        help='No-target score above which the answer is "no target".',
    ),
]

TaskOption = Annotated[
    TaskName | None,
    typer.Option(
        "--task",
        show_default="the checkpoint's",
        help="Kind of question, which sets the wording of the prompt.",
    ),
]
