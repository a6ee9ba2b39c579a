"""Fetch the drawings of a workspace from Label Studio. Collected drawings survive the loss of the project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from earthreason.errors import DataFormatError, EarthReasonError

from ..drawing import Drawing
from ..errors import DrawingError
from ..formats.base import AS_STATED, ReadOptions
from ..formats.labelstudio import drawing_of_results, provenance_of
from ..servers import Server
from ..workspace import ANNOTATION, AnnotationTask, Workspace, fault_of
from .client import LabelStudioClient
from .config import check_config
from .project import LOCAL, settings_of


@dataclass(frozen=True)
class Collected:
    """What was collected.

    Attributes:
        counts: numbers of drawings by `new`, `changed` and `same`.
        skipped: number of annotations with which people skipped a task.
        undrawn: number of tasks without an annotation in any of the server's projects.
        superseded: number of drawings that do not count, because the same person saved another one of the task later.
        gone: drawings in use whose annotation was deleted or turned into a skip on the server.
        withdrawn: number of these that were withdrawn.
        ignored: numbers of results without an area, by type.
    """

    counts: Counter[str]
    skipped: int
    undrawn: int
    superseded: int = 0
    gone: list[str] = field(default_factory=list)
    withdrawn: int = 0
    ignored: Counter[str] = field(default_factory=Counter)


class CollectError(DrawingError):
    """Some annotations could not be collected; `collected` tells what was."""

    def __init__(self, source: str, faults: Sequence[str], kept: str, collected: Collected) -> None:
        super().__init__(source, faults, kept)
        self.collected = collected


@dataclass
class _Found:
    """What the projects of a server hold."""

    drawings: list[Drawing] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)
    annotated: set[str] = field(default_factory=set)
    skipped: int = 0


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
    client: LabelStudioClient,
    workspace: Workspace,
    server: str,
    options: ReadOptions = AS_STATED,
    withdraw: bool = False,
) -> Collected:
    """Fetch all annotations and store them in the workspace, readable ones even if others have faults.

    Args:
        client: connection to the server.
        workspace: workspace with the tasks.
        server: name of the server.
        options: options for reading shapes.
        withdraw: whether to withdraw drawings whose annotation was deleted or turned into a skip.

    Raises:
        EarthReasonError: there is no project, or its configuration was edited.
        CollectError: annotations cannot be read, or tasks or projects were deleted; everything else was stored.
    """
    known = known_server(workspace, server)
    users = client.users()
    found = _Found()
    for slot, project in known.projects.items():
        settings = settings_of(client, project)
        if settings is None:
            found.faults.append(
                f"project {project} was deleted; drawings collected earlier are kept, `masks start` creates a new one"
            )
            continue
        check_config(settings["label_config"], f"{client.url}, project {project}")
        seen = set()
        for entry in client.tasks(project):
            name = str(entry["data"].get("task"))
            seen.add(name)
            _read_task(found, entry, name, workspace, users, client.version, server, options)
        found.tasks |= seen
        if slot == "all":
            remedy = "drawings collected earlier are kept, `masks start` restores the task"
            found.faults += [f"{name}: deleted on the server; {remedy}" for name in workspace.tasks if name not in seen]
    with workspace.changing():
        people = {str(number): address for number, address in users.items()}
        workspace.update_server(replace(known, people=people, unreadable=found.unreadable))
        counts = workspace.add_drawings(found.drawings)
        in_use = [drawing for drawings in workspace.drawings().values() for drawing in drawings]
        gone = [drawing for drawing in in_use if _is_gone(drawing, found, server)]
        if withdraw:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            workspace.add_drawings(replace(drawing, withdrawn=True, created=now) for drawing in gone)
    used = {(drawing.task, drawing.key) for drawing in in_use}
    collected = Collected(
        counts,
        found.skipped,
        len((found.tasks & set(workspace.tasks)) - found.annotated),
        sum((drawing.task, drawing.key) not in used for drawing in found.drawings),
        [f"{drawing.task}, {drawing.key} by {drawing.annotator}" for drawing in gone],
        len(gone) if withdraw else 0,
        found.ignored,
    )
    faults = [*_set_aside(found.unreadable, known.unreadable, in_use), *found.faults]
    if faults:
        kept = f"{counts['new']} new and {counts['changed']} changed drawings were kept"
        raise CollectError(client.url, faults, kept, collected)
    return collected


def _key_on(server: str, number: object) -> str:
    """Return the key of an annotation, with the server because every server numbers its annotations from 1."""
    return f"{ANNOTATION}{number}" + ("" if server == LOCAL else f" on {server}")


def _is_gone(drawing: Drawing, found: _Found, server: str) -> bool:
    """Tell whether a drawing in use came from an annotation that a task on this server no longer has."""
    number = drawing.key.removeprefix(ANNOTATION).partition(" on ")[0]
    is_from_here = drawing.key.startswith(ANNOTATION) and drawing.key == _key_on(server, number)
    return is_from_here and drawing.task in found.tasks and drawing.key not in found.keys


def _set_aside(now: Mapping[str, str], before: Mapping[str, str], in_use: list[Drawing]) -> list[str]:
    """Name the annotations that cannot be read, each once, however often it was named before."""
    read_earlier = {drawing.key for drawing in in_use}
    faults = []
    for key, reason in now.items():
        again = " (as in the last collect)" if before.get(key) == reason else ""
        kept = "; the version collected earlier counts" if key in read_earlier else ""
        faults.append(f"{reason}{kept}{again}")
    return faults


def _read_task(
    found: _Found,
    entry: dict[str, Any],
    name: str,
    workspace: Workspace,
    users: Mapping[int, str],
    tool: str,
    server: str,
    options: ReadOptions,
) -> None:
    """Read the annotations of a task. One that cannot be read is set aside and does not concern the others."""
    task = workspace.tasks.get(name)
    if task is None:
        found.faults.append(f"task {entry['id']} ({name}): not in this workspace; it was added on the server")
        return
    for annotation in entry["annotations"]:
        if annotation.get("was_cancelled"):
            found.skipped += 1
            continue
        found.annotated.add(name)
        key = _key_on(server, annotation["id"])
        found.keys.add(key)
        try:
            found.drawings.append(_read_annotation(annotation, task, users, tool, key, options, found.ignored))
        except DataFormatError as error:
            found.unreadable[key] = str(error)


def _read_annotation(
    annotation: dict[str, Any],
    task: AnnotationTask,
    users: Mapping[int, str],
    tool: str,
    key: str,
    options: ReadOptions,
    ignored: Counter[str],
) -> Drawing:
    """Read an annotation.

    Raises:
        DataFormatError: it cannot be read; the message names task, annotation and person.
    """
    place = f"{task.task}, annotation {annotation['id']}"
    try:
        facts = provenance_of(annotation, users)
    except DataFormatError as error:
        raise DataFormatError(f"{place}: {error}") from None
    if facts["annotator"].isdigit():
        facts["annotator"] = f"user {facts['annotator']}"
    place += f" by {facts['annotator']}"
    drawing = drawing_of_results(annotation.get("result") or [], task, place, options, ignored)
    if drawing is None:
        raise DataFormatError(f"{place}: has neither regions nor a choice")
    drawing = replace(drawing, **facts, tool=tool, key=key)
    if fault := fault_of(drawing, {task.task: task}):
        raise DataFormatError(fault)
    return drawing
