"""The project of a workspace on Label Studio: send tasks, collect drawings. Collected drawings survive its loss."""

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
"""Name of the server whose data is in the workspace itself, whatever its port."""
_BATCH = 20
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Pushed:
    """A project and the number of tasks added to it."""

    project: int
    added: int


@dataclass(frozen=True)
class Collected:
    """Numbers of drawings by `new`, `changed` and `same`, of skipped annotations, and of tasks without a drawing."""

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
    """Create the project if the server has none, and add missing tasks with their pre-annotations.

    Pre-annotations contain shapes only: annotators choose the category or "no target" themselves. An interrupted call
    can be repeated.

    Args:
        client: connection to the server.
        workspace: workspace with the tasks.
        server: name of the server: `LOCAL`, or the address of a team's server.
        categories: categories to choose from; empty for those of the tasks.
        overlap: number of people who draw each task.
        only: tasks for a separate project, the queue of a third person; None for all tasks in the main project.
        restore_config: whether to restore the labelling configuration.
        progress: called with the number of tasks just added.

    Raises:
        EarthReasonError: the project's configuration was edited on the server, or there is no task.
    """
    slot = "all" if only is None else "queue"
    names = list(workspace.tasks) if only is None else [name for name in workspace.tasks if name in set(only)]
    if not names:
        raise EarthReasonError(f"{workspace.root}: there are no tasks to show")
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
    """Return the settings of a project, or None if it was deleted on the server."""
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
    """Describe size and ground resolution for annotators."""
    scale = f"{task.ground_resolution:g} m per pixel" if task.ground_resolution else "ground resolution unknown"
    return f"{task.width} x {task.height} pixels, {scale}"


def known_server(workspace: Workspace, name: str | None = None) -> Server:
    """Return the server with this name, or the last one used.

    Raises:
        EarthReasonError: the workspace has no project on it.
    """
    known = workspace.servers()
    if not known:
        raise EarthReasonError(f"{workspace.root} has no Label Studio project yet; run `masks start`")
    if name is None:
        return list(known.values())[-1]
    if name not in known:
        raise EarthReasonError(f"{workspace.root} has no project on {name}, but on {', '.join(known)}")
    return known[name]


def collect_drawings(
    client: LabelStudioClient, workspace: Workspace, server: str, options: ReadOptions = AS_STATED
) -> Collected:
    """Fetch all annotations and store them in the workspace, readable ones even if others have faults.

    Raises:
        EarthReasonError: there is no project, or its configuration was edited.
        DrawingError: annotations cannot be read, or tasks or projects were deleted; everything else was stored.
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
                f"project {project} was deleted; drawings collected earlier are kept, `masks start` creates a new one"
            )
            continue
        check_config(settings["label_config"], f"{client.url}, project {project}")
        seen = set()
        for entry in client.tasks(project):
            name = str(entry["data"].get("task"))
            seen.add(name)
            read, wrong, skips = _of_task(entry, name, workspace, users, client.version, options)
            read = [replace(drawing, key=_key_on(server, drawing.key)) for drawing in read]
            drawings += read
            faults += wrong
            skipped += skips
            undrawn += not read and not wrong
        if slot == "all":
            remedy = "drawings collected earlier are kept, `masks start` restores the task"
            faults += [f"{name}: deleted on the server; {remedy}" for name in workspace.tasks if name not in seen]
    with workspace.changing():
        counts = workspace.add_drawings(drawings)
    if faults:
        kept = f"{counts['new']} new and {counts['changed']} changed drawings were kept"
        raise DrawingError(client.url, faults, kept)
    return Collected(counts, skipped, undrawn)


def _key_on(server: str, key: str) -> str:
    """Add the server to a key, because every server numbers its annotations from 1."""
    return key if server == LOCAL else f"{key} on {server}"


def _of_task(
    entry: dict[str, Any], name: str, workspace: Workspace, users: dict[int, str], tool: str, options: ReadOptions
) -> tuple[list[Drawing], list[str], int]:
    """Read a task; return its drawings, its faults and the number of people who skipped it."""
    if name not in workspace.tasks:
        return [], [f"task {entry['id']} ({name}): not in this workspace; it was added on the server"], 0
    task = workspace.tasks[name]
    drawings, faults, skipped = [], [], 0
    for annotation in entry["annotations"]:
        if annotation.get("was_cancelled"):
            skipped += 1
            continue
        who = users.get(annotation.get("completed_by"), f"user {annotation.get('completed_by')}")
        place = f"{name}, annotation {annotation['id']} by {who}"
        try:
            drawing = drawing_of_results(annotation["result"], name, (task.height, task.width), place, options)
            if drawing is None:
                raise DataFormatError(f"{place}: has neither regions nor a choice")
        except DataFormatError as error:
            faults.append(str(error))
            continue
        facts = provenance_of(annotation) | {"annotator": who, "tool": tool, "key": f"annotation {annotation['id']}"}
        drawings.append(replace(drawing, **facts))
    return drawings, faults, skipped
