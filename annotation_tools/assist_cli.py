"""`assist` and `masks prelabel`: masks by models, with and without a click."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import command_line, stdout
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

from .workspace import Workspace

ModelOption = Annotated[
    str,
    typer.Option(
        "--model", help="Model to run: grabcut, sam, sam2, superpixels, a model of baselines, or MODULE:CLASS."
    ),
]
CheckpointOption = Annotated[
    str | None, typer.Option("--checkpoint", help="Folder or Hub id of the weights, for models that need them.")
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Torch device, such as cpu or cuda; `auto` takes a GPU if there is one.")
]


def assist(
    work: Annotated[
        Path | None,
        typer.Argument(metavar="[WORK]", help="Folder of the annotation project, which has the pictures."),
    ] = None,
    model: ModelOption = "grabcut",
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    url: Annotated[
        str | None,
        typer.Option("--url", help="Address of the Label Studio to fetch pictures from, instead of WORK."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="LABEL_STUDIO_API_KEY", help="Access token for --url."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 9090,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            envvar="EARTHREASON_ASSIST_KEY",
            help="Access key that Label Studio must send; needed if --host is not this machine alone.",
        ),
    ] = None,
) -> None:
    """Answer clicks and boxes in Label Studio with masks. Connect it with `masks start WORK --assist URL`.

    Example: earthreason-annotation assist work --model sam2 --checkpoint sam2-folder
    """
    from earthreason.cli.ports import check_free, url_of
    from earthreason.web.guards import LOOPBACK

    from .assist.assistant import Assistant
    from .assist.models import Segmenter, build_model
    from .assist.server import serve
    from .assist.subjects import ServerSubjects, Subjects, WorkspaceSubjects
    from .labelstudio.client import LabelStudioClient

    if (work is None) == (url is None):
        raise EarthReasonError("give either WORK or --url, so that the model has the pictures")
    if url is not None and token is None:
        raise EarthReasonError(f"--url {url} needs --token (or LABEL_STUDIO_API_KEY): see Account & Settings there")
    if host not in LOOPBACK and not key:
        raise EarthReasonError(f"--host {host} lets other machines in; protect the model with --key")
    check_free(host, port)
    subjects: Subjects
    if work is not None:
        subjects = WorkspaceSubjects(Workspace.open(work))
    else:
        subjects = ServerSubjects(LabelStudioClient(str(url), str(token)))
    predictor = build_model(model, checkpoint, device)
    guided = "clicks and boxes" if isinstance(predictor, Segmenter) else "the question of the task, at any click"
    console = stdout()
    console.print(f"{model} answers {guided} at {url_of(host, port)}; Ctrl-C stops", soft_wrap=True)
    then = command_line("earthreason-annotation", "masks", "start", work or "WORK", "--assist", url_of(host, port))
    console.print(f"next: {then}", soft_wrap=True, markup=False)
    serve(Assistant(predictor, model, subjects), host, port, key)


def prelabel(
    work: Annotated[Path, typer.Argument(metavar="WORK", help="Folder of the annotation project.")],
    model: ModelOption = "grabcut",
    checkpoint: CheckpointOption = None,
    device: DeviceOption = "auto",
    question: Annotated[
        str | None,
        typer.Option("--question", help="Question asked about every task.", show_default="each task's first"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace existing pre-annotations and comparisons.")
    ] = False,
    compare_with: Annotated[
        str | None,
        typer.Option("--compare-with", help="Second model; its disagreement orders the tasks, its masks are not kept."),
    ] = None,
    compare_checkpoint: Annotated[
        str | None, typer.Option("--compare-checkpoint", help="Folder or Hub id of the second model's weights.")
    ] = None,
) -> None:
    """Predict masks for people to correct. After an interruption, run it again to continue.

    Example: earthreason-annotation masks prelabel work --model grabcut --compare-with superpixels
    """
    from .assist.models import QUESTION_BLIND, build_model
    from .prelabels import compare, shared_pictures
    from .prelabels import prelabel as run_prelabel

    if compare_checkpoint is not None and compare_with is None:
        raise EarthReasonError("--compare-checkpoint needs --compare-with, the model that has these weights")
    workspace = Workspace.open(work)
    helper = build_model(model, checkpoint, device)
    other = None if compare_with is None else build_model(compare_with, compare_checkpoint, device)
    console = stdout()
    with progress_bar(total=len(workspace.tasks), unit="task", desc=model) as bar:
        results = run_prelabel(workspace, helper, model, question, replace, progress=bar.update)
    empty = sum(drawing.is_empty for drawing in results.values())
    summary = f"{count_of(len(results), 'pre-annotation')} by {model}, {empty} of them empty"
    kept = len(workspace.tasks) - len(results)
    stays = f"; masks stay as they were in {count_of(kept, 'task')} (use --replace to replace them)" if kept else ""
    console.print(f"{work}: {summary}{stays}", soft_wrap=True)
    shared = shared_pictures(workspace, results)
    if shared and isinstance(helper, QUESTION_BLIND):
        console.print(
            f"{count_of(shared, 'task')} share a picture and got the same mask, because {model} does not read "
            "questions",
            soft_wrap=True,
        )
    if other is None or compare_with is None:
        return
    with progress_bar(total=len(workspace.tasks), unit="task", desc=compare_with) as bar:
        compared = compare(workspace, other, compare_with, question, replace, progress=bar.update)
    mean = f", mean 1 - IoU {sum(compared.values()) / len(compared):.2f}" if compared else ""
    console.print(f"{work}: {count_of(len(compared), 'task')} compared with {compare_with}{mean}", soft_wrap=True)
