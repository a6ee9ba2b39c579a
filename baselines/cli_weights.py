"""`earthreason-baselines convert` and `assemble`: make checkpoints of this package from other weights."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import stdout
from earthreason.errors import UnknownNameError

from .cli_completions import complete_assembled, complete_convertible, complete_dtype
from .registry import (
    AssemblyOptions,
    ConversionOptions,
    assemble_checkpoint,
    assembled_models,
    check_converter,
    convert_checkpoint,
    convertible_models,
    models_with_option,
    task_named,
)

_CONVERTIBLE = ", ".join(convertible_models())


WeightTypeOption = Annotated[
    str, typer.Option("--dtype", help="Data type of the weights to write.", autocompletion=complete_dtype)
]


class TaskName(StrEnum):
    """Kinds of questions."""

    reasoning = "reasoning"
    referring = "referring"


def _for(names: list[str]) -> str:
    return f"For {', '.join(names)}: "


def convert(
    model: Annotated[
        str, typer.Argument(help=f"Model to convert: {_CONVERTIBLE}.", autocompletion=complete_convertible)
    ],
    source: Annotated[str, typer.Argument(help="Published checkpoint.")],
    target: Annotated[Path, typer.Argument(help="Folder to write; it must not exist, or be empty.")],
    clip: Annotated[
        str | None,
        typer.Option(
            "--clip",
            help=f"{_for(models_with_option('clip'))}folder or Hub id of CLIP, which the published files leave out.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help=f"{_for(models_with_option('config'))}config.json of a model of another size than the published one.",
        ),
    ] = None,
    dtype: WeightTypeOption = "float32",
    task: Annotated[
        TaskName | None,
        typer.Option(
            "--task",
            show_default="referring if the name says RRSIS-D or RefSegRS, else reasoning",
            help="Kind of question that the model was trained for; saved with the checkpoint.",
        ),
    ] = None,
    gsd: Annotated[
        str | None,
        typer.Option(
            "--gsd",
            metavar="LOW,HIGH",
            show_default="unknown",
            help="Finest and coarsest ground resolution of its canvas in training, metres per pixel; saved with it.",
        ),
    ] = None,
) -> None:
    """Convert published weights into a checkpoint for `predict`, `segment` and `train`.

    Example: earthreason-baselines convert segearth_r1 SegEarth-R1-EarthReason/ segearth_r1/
    """
    from .common.devices import DTYPES
    from .common.resolution import parse_range

    check_converter(model)
    if dtype not in DTYPES:
        raise UnknownNameError("dtype", dtype, DTYPES)
    asked = task_named(source) if task is None else task.value
    resolution = None if gsd is None else parse_range(gsd)
    options = ConversionOptions(source, target, dtype, clip, config, asked, resolution)
    report = convert_checkpoint(model, options)
    stdout().print(f"{target} written; {len(report.dropped)} unused tensors left out; task: {asked}", soft_wrap=True)


def assemble(
    model: Annotated[
        str,
        typer.Argument(help=f"Model to assemble: {', '.join(assembled_models())}.", autocompletion=complete_assembled),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist, or be empty.")],
    llm: Annotated[
        str | None,
        typer.Option(
            "--llm", help=f"{_for(assembled_models('llm'))}folder or Hub id of a language model, or of a LLaVA."
        ),
    ] = None,
    clip: Annotated[
        str | None, typer.Option("--clip", help=f"{_for(assembled_models('clip'))}folder or Hub id of CLIP.")
    ] = None,
    sam: Annotated[
        str | None,
        typer.Option(
            "--sam", help=f"{_for(assembled_models('sam'))}folder or Hub id of SAM, or its original .pth file."
        ),
    ] = None,
    mask2former: Annotated[
        str | None,
        typer.Option(
            "--mask2former",
            help=f"{_for(assembled_models('mask2former'))}folder or Hub id of a Mask2Former with Swin, or a .pkl file.",
        ),
    ] = None,
    dtype: WeightTypeOption = "float32",
) -> None:
    """Build a model from pretrained parts, to train as in its paper. What starts new is printed.

    Example: earthreason-baselines assemble lisa --llm llava/ --clip openai/clip-vit-large-patch14 --sam sam/ --out lisa
    """
    from .common.devices import DTYPES

    if dtype not in DTYPES:
        raise UnknownNameError("dtype", dtype, DTYPES)
    made = assemble_checkpoint(model, AssemblyOptions(out, dtype, llm, clip, sam, mask2former))
    for line in [f"{out} written: {made.total:,} values, untrained", *made.lines()]:
        stdout().print(line, soft_wrap=True, markup=False)
