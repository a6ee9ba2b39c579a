"""`python -m baselines assemble`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baselines.registry import AssemblyOptions, assemble_checkpoint, assembled_models
from earthreason.cli.app import stdout
from earthreason.errors import UnknownNameError


def _for(part: str) -> str:
    return f"For {', '.join(assembled_models(part))}: "


def assemble(
    model: Annotated[str, typer.Argument(help=f"Model to assemble: {', '.join(assembled_models())}.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist, or be empty.")],
    llm: Annotated[
        str | None, typer.Option("--llm", help=f"{_for('llm')}folder or Hub id of a language model, or of a LLaVA.")
    ] = None,
    clip: Annotated[str | None, typer.Option("--clip", help=f"{_for('clip')}folder or Hub id of CLIP.")] = None,
    sam: Annotated[
        str | None, typer.Option("--sam", help=f"{_for('sam')}folder or Hub id of SAM, or its original .pth file.")
    ] = None,
    mask2former: Annotated[
        str | None,
        typer.Option(
            "--mask2former",
            help=f"{_for('mask2former')}folder or Hub id of a Mask2Former with Swin, or detectron2's .pkl file.",
        ),
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="Data type of the weights to write.")] = "float32",
) -> None:
    """Build a model from pretrained parts, to train as in its paper. What starts new is printed.

    Example: python -m baselines assemble lisa --llm llava/ --clip openai/clip-vit-large-patch14 --sam sam/ --out start
    """
    from baselines.common.devices import DTYPES

    if dtype not in DTYPES:
        raise UnknownNameError("dtype", dtype, DTYPES)
    made = assemble_checkpoint(model, AssemblyOptions(out, dtype, llm, clip, sam, mask2former))
    for line in [f"{out} written: {made.total:,} values, untrained", *made.lines()]:
        stdout().print(line, soft_wrap=True, markup=False)
