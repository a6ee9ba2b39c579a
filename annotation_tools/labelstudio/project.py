"""Our project on a Label Studio: tasks out, drawings back. What the server has lost is never lost here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from annotation_tools.drawing import Drawing
from annotation_tools.errors import DrawingError
from annotation_tools.formats.base import AS_STATED, ReadOptions
from annotation_tools.formats.labelstudio import BRUSH, IMAGE, drawing_of_results, provenance_of, results_of_drawing
from annotation_tools.labelstudio.client import GoneError, LabelStudioClient
from annotation_tools.labelstudio.config import check_config, label_config
from annotation_tools.workspace import AnnotationTask, Server, Workspace
from earthreason.errors import DataFormatError, EarthReasonError

LOCAL = "local"
"""The server whose data are in the workspace itself, whatever port it has."""
_BATCH = 20
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Pushed:
    """The project, and how many tasks were added to it."""

    project: int
    added: int


@dataclass(frozen=True)
class Collected:
    """What came back: drawings by `new`, `changed`, `same`; skipped tasks; tasks nobody has drawn."""

    counts: Counter[str]
    skipped: int
    undrawn: int


def push_project(
    client: LabelStudioClient,
    workspace: Workspace,
    server: str,
    categories: Sequence[str] = (),
    overlap: int = 2,
    only: Iterable[str] | None = None,
    restore_config: bool = False,
    progress: Progress = lambda _: None,
) -> Pushed:
    """Make the project on first use, or again after it was deleted; add the tasks it lacks, with their pre-annotations.

    What it is, or that there is no target, stays a person's explicit choice.

    Interrupted, it goes on where it was.

    Args:
        client: signed in.
        workspace: whose tasks.
        server: which one it is: `LOCAL`, or the address of a team's own.
        categories: to choose from; none takes those the tasks expect.
        overlap: people that Label Studio asks for each task.
        only: these tasks, as a project of its own (a queue for a third person); None takes all.
        restore_config: put the labelling configuration back.
        progress: called with 1 for each task added.

    Raises:
        EarthReasonError: the project's configuration was edited on the server, or there is no task.
    """
    slot = "all" if only is None else "queue"
    names = list(workspace.tasks) if only is None else [name for name in workspace.tasks if name in set(only)]
    if not names:
        raise EarthReasonError(f"{workspace.root}: there is no task to show")
    config = label_config(categories or _expected(workspace))
    known = workspace.servers().get(server)
    projects = known.projects if known else {}
    project = projects.get(slot)
    settings = None if project is None else _settings(client, project)
    if project is None or settings is None:
        title = f"EarthReason {workspace.root.resolve().name}" + ("" if slot == "all" else ": third opinion")
        project = client.create_project(title[:50], config, overlap)
    elif restore_config:
        client.set_config(project, config)
    else:
        check_config(settings["label_config"], f"{client.url}, project {project}")
    workspace.write_server(Server(server, client.url, projects | {slot: project}))
    there = {str(task["data"].get("task")) for task in client.tasks(project)}
    missing = [workspace.tasks[name] for name in names if name not in there]
    prelabels = workspace.prelabels()
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        client.import_tasks(
            project, [_task(client, project, workspace, task, prelabels.get(task.task)) for task in batch]
        )
        progress(len(batch))
    return Pushed(project, len(missing))


def _expected(workspace: Workspace) -> list[str]:
    return sorted({task.category for task in workspace.tasks.values() if task.category})


def _settings(client: LabelStudioClient, project: int) -> dict[str, Any] | None:
    """Settings of a project; None if it was deleted on the server."""
    try:
        return client.project(project)
    except GoneError:
        return None


def _task(
    client: LabelStudioClient, project: int, workspace: Workspace, task: AnnotationTask, prelabel: Drawing | None
) -> dict[str, Any]:
    address = client.upload_picture(project, workspace.picture(task.task))
    entry: dict[str, Any] = {
        "data": {
            IMAGE: address,
            "task": task.task,
            "height": task.height,
            "width": task.width,
            "facts": describe(task),
            "asked": " / ".join(task.questions[:2]) or "Mark the target.",
        }
    }
    if prelabel is not None and not prelabel.is_empty:
        shapes = [result for result in results_of_drawing(prelabel) if result["from_name"] == BRUSH]
        entry["predictions"] = [{"model_version": prelabel.tool or "import", "result": shapes}]
    return entry


def describe(task: AnnotationTask) -> str:
    """Size and ground resolution in words."""
    scale = f"{task.ground_resolution:g} m per pixel" if task.ground_resolution else "ground resolution unknown"
    return f"{task.width} x {task.height} pixels, {scale}"


def known_server(workspace: Workspace, name: str | None = None) -> Server:
    """The server of a name, or the last used one.

    Raises:
        EarthReasonError: the workspace has no project there.
    """
    known = workspace.servers()
    if not known:
        raise EarthReasonError(f"{workspace.root} has no project on a Label Studio yet; run `masks start`")
    if name is None:
        return list(known.values())[-1]
    if name not in known:
        raise EarthReasonError(f"{workspace.root} has no project on {name}; it has some on {', '.join(known)}")
    return known[name]


def collect_drawings(
    client: LabelStudioClient, workspace: Workspace, server: str, options: ReadOptions = AS_STATED
) -> Collected:
    """Fetch every annotation and keep it. What can be read is kept even if other annotations have faults.

    Raises:
        EarthReasonError: there is no project, or its configuration was edited.
        DrawingError: annotations that cannot be read, tasks or projects that were deleted; the others are kept.
    """
    known = known_server(workspace, server)
    users = client.users()
    drawings: list[Drawing] = []
    faults: list[str] = []
    skipped = undrawn = 0
    for slot, project in known.projects.items():
        settings = _settings(client, project)
        if settings is None:
            faults.append(
                f"project {project} was deleted; what was collected before is kept, `masks start` makes a new one"
            )
            continue
        check_config(settings["label_config"], f"{client.url}, project {project}")
        seen = set()
        for entry in client.tasks(project):
            name = str(entry["data"].get("task"))
            seen.add(name)
            found, wrong, skips = _of_task(entry, name, workspace, users, client.version, options)
            found = [replace(drawing, key=_key_on(server, drawing.key)) for drawing in found]
            drawings += found
            faults += wrong
            skipped += skips
            undrawn += not found and not wrong
        if slot == "all":
            remedy = "what was drawn before is kept, `masks start` brings the task back"
            faults += [f"{name}: deleted on the server; {remedy}" for name in workspace.tasks if name not in seen]
    with workspace.changing():
        counts = workspace.add_drawings(drawings)
    if faults:
        kept = f"{counts['new']} new and {counts['changed']} changed drawings were kept"
        raise DrawingError(client.url, faults, kept)
    return Collected(counts, skipped, undrawn)


def _key_on(server: str, key: str) -> str:
    """Servers count their annotations from 1, each for itself."""
    return key if server == LOCAL else f"{key} on {server}"


def _of_task(
    entry: dict[str, Any], name: str, workspace: Workspace, users: dict[int, str], tool: str, options: ReadOptions
) -> tuple[list[Drawing], list[str], int]:
    """Drawings, faults, and how many people skipped."""
    if name not in workspace.tasks:
        return [], [f"task {entry['id']} ({name}): not of this workspace; it was added on the server by hand"], 0
    task = workspace.tasks[name]
    found, faults, skipped = [], [], 0
    for annotation in entry["annotations"]:
        if annotation.get("was_cancelled"):
            skipped += 1
            continue
        who = users.get(annotation.get("completed_by"), f"user {annotation.get('completed_by')}")
        place = f"{name}, annotation {annotation['id']} by {who}"
        try:
            drawing = drawing_of_results(annotation["result"], name, (task.height, task.width), place, options)
            if drawing is None:
                raise DataFormatError(f"{place}: has neither a region nor a choice")
        except DataFormatError as error:
            faults.append(str(error))
            continue
        facts = provenance_of(annotation) | {"annotator": who, "tool": tool, "key": f"annotation {annotation['id']}"}
        found.append(replace(drawing, **facts))
    return found, faults, skipped
