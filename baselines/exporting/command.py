"""`earthreason-baselines export`, `push` and `pull`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import command_line, stdout
from earthreason.plurals import count_of

from ..cli_options import complete_checkpoint
from ..cli_weights import TaskName


class ExportFormat(StrEnum):
    """Formats of exported models."""

    torch_export = "torch-export"
    onnx = "onnx"


def export(
    checkpoint: Annotated[
        str,
        typer.Option(
            "--checkpoint",
            help="Folder, Hub id or shipped name of the checkpoint to export.",
            autocompletion=complete_checkpoint,
        ),
    ],
    kind: Annotated[
        ExportFormat, typer.Option("--format", help="torch-export for PyTorch, onnx for onnxruntime and others.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist, or be empty.")],
    dtype: Annotated[
        str, typer.Option("--dtype", help="Data type of the weights: float32, float16, or bfloat16 (torch-export).")
    ] = "float32",
    opset: Annotated[
        int | None, typer.Option("--opset", min=18, show_default="torch's", help="Version of ONNX's operations.")
    ] = None,
    task: Annotated[
        TaskName | None,
        typer.Option(
            "--task", show_default="the checkpoint's", help="Kind of question, which sets the wording of the prompt."
        ),
    ] = None,
) -> None:
    """Export a checkpoint as one graph from pixels and question to mask, and compare it with the checkpoint first.

    Example: earthreason-baselines export --checkpoint tiny --format onnx --out exported
    """
    from .writing import export_checkpoint

    made = export_checkpoint(checkpoint, out, kind.value, dtype, opset, None if task is None else task.value)
    found = made.comparison
    ratio = found.export_seconds / found.torch_seconds
    words = ("--model", "exported", "--checkpoint", out, "--config", "sample", "--out", "preds.json")
    command = command_line("earthreason-baselines", "predict", *words)
    stdout().print(
        f"{out}: {made.model}, {made.bytes / 1e6:.1f} MB\n"
        f"greatest difference of a logit: {found.logit:.2g} (largest logit {found.largest:.1f}); "
        f"{found.differing} of {found.pixels:,} mask pixels differ\n"
        f"time for a question: {found.export_seconds:.3f} s exported, {found.torch_seconds:.3f} s in PyTorch "
        f"({ratio:.2f} times)\n"
        f"predict: {command}",
        soft_wrap=True,
        markup=False,
    )


def push(
    folder: Annotated[Path, typer.Argument(help="Folder of a checkpoint or of `export`, or a shipped checkpoint.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Model repository on the Hub.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository that only its owner sees.")] = False,
    revision: Annotated[
        str | None, typer.Option("--revision", show_default="main", help="Branch to push to, made if there is none.")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", show_default="Push MODEL", help="Message of the commit.")
    ] = None,
) -> None:
    """Upload a checkpoint to the Hugging Face Hub in one commit, with its card. HF_ENDPOINT names another Hub.

    Example: earthreason-baselines push runs/a/final me/segearth_r1 --private
    """
    from .hub import push_checkpoint

    address = push_checkpoint(folder, repository, private=private, revision=revision, message=message)
    stdout().print(f"pushed: {address}", soft_wrap=True, markup=False)


def pull(
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Model repository on the Hub.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write; it must not exist, or be empty.")],
    revision: Annotated[
        str | None, typer.Option("--revision", show_default="main", help="Commit, branch or tag to download.")
    ] = None,
) -> None:
    """Download a checkpoint from the Hugging Face Hub and compare every file with the checksum that the Hub states.

    Example: earthreason-baselines pull me/segearth_r1 model
    """
    from .hub import pull_checkpoint

    pulled = pull_checkpoint(repository, folder, revision)
    model = "exported" if pulled.is_export else pulled.model
    words = ("--model", model, "--checkpoint", folder, "--config", "sample", "--out", "preds.json")
    command = command_line("earthreason-baselines", "predict", *words)
    stdout().print(
        f"{folder}: {pulled.model}, {count_of(len(pulled.files), 'file')} of commit {pulled.commit[:12]}\n"
        f"predict: {command}",
        soft_wrap=True,
        markup=False,
    )
