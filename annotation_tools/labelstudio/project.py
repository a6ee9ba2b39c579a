"""The project of a workspace on Label Studio: send tasks, and apply what has changed since to a running project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from earthreason.errors import EarthReasonError
from earthreason.files import write_json
from earthreason.plurals import count_of

from ..formats.labelstudio import CATEGORY, IMAGE
from ..servers import Server
from ..uncertainty import uncertainties
from ..workspace import CATEGORIES, AnnotationTask, Workspace
from .client import GoneError, LabelStudioClient
from .config import categories_of, check_config, label_config, with_categories
from .tasks import Background, background_of, data_of, is_ours, is_same, prediction_of

LOCAL = "local"
"""Name of the server whose data is in the workspace itself, whatever its port."""
OVERLAP = 2
"""Number of people who draw each task of a new project."""
_BATCH = 20
UPLOADS = 4
"""Pictures sent at a time. More do not help: the local server has one process and an embedded database."""
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Wishes:
    """How a project shall be.

    Attributes:
        categories: categories to choose from; empty for those of the tasks, added to those of a running project.
        overlap: number of people who draw each task; None for two in a new project, and no change in a running one.
        restore_config: whether to restore the labelling configuration.
        uncertain_first: whether to add tasks in the order of the disagreement of their pre-annotations.
    """

    categories: Sequence[str] = ()
    overlap: int | None = None
    restore_config: bool = False
    uncertain_first: bool = False


@dataclass(frozen=True)
class Pushed:
    """A project, the number of tasks added to it, and what else was changed or could not be, one line each."""

    project: int
    added: int
    changes: list[str] = field(default_factory=list)


@dataclass
class _There:
    """What a project on the server has.

    Attributes:
        tasks: task IDs.
        addresses: URLs of uploaded pictures by file name.
        used: categories chosen by someone.
        redone: number of tasks whose pre-annotation was replaced.
        kept: number of tasks with another pre-annotation, which keep theirs because someone has begun to draw.
        reworded: number of tasks whose text was changed.
    """

    tasks: set[str] = field(default_factory=set)
    addresses: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    redone: int = 0
    kept: int = 0
    reworded: int = 0


def push_project(
    client: LabelStudioClient,
    workspace: Workspace,
    server: str,
    wishes: Wishes = Wishes(),
    only: Iterable[str] | None = None,
    progress: Progress = lambda _: None,
) -> Pushed:
    """Create the project if the server has none, else apply what has changed; add missing tasks.

    An interrupted call can be repeated.

    Args:
        client: connection to the server.
        workspace: workspace with the tasks.
        server: name of the server: `LOCAL`, or the address of a team's server.
        wishes: how the project shall be.
        only: tasks for a separate project, the queue of a third person; None for all tasks in the main project.
        progress: called with numbers of tasks, which add up to that of all tasks to be shown.

    Raises:
        EarthReasonError: the project's configuration was edited on the server, there is no task, or no disagreement to
            order tasks by.
    """
    slot = "all" if only is None else "queue"
    names = list(workspace.tasks) if only is None else [name for name in workspace.tasks if name in set(only)]
    if not names:
        raise EarthReasonError(f"{workspace.root}: there are no tasks to show")
    doubts = uncertainties(workspace) if wishes.uncertain_first else {}
    wanted = _expected([workspace.tasks[name] for name in names])
    config = label_config(wishes.categories or wanted)
    known = workspace.servers().get(server) or Server(server, client.url, {})
    project = known.projects.get(slot)
    settings = None if project is None else settings_of(client, project)
    if project is None or settings is None:
        title = f"EarthReason {workspace.root.resolve().name}" + ("" if slot == "all" else ": third opinion")
        project, settings = client.create_project(title[:50], config, wishes.overlap or OVERLAP), None
    elif wishes.restore_config:
        client.change_project(project, label_config=config)
    else:
        check_config(settings["label_config"], f"{client.url}, project {project}")
    if wishes.categories:
        write_json(workspace.root / CATEGORIES, list(wishes.categories))
    workspace.write_server(replace(known, url=client.url, projects=known.projects | {slot: project}))
    background = background_of(workspace, doubts)
    if slot == "queue":  # a task is not deleted, because someone may be drawing it
        background = replace(background, settled=set(workspace.tasks) - set(names))
    there = _apply_to_tasks(client, workspace, project, background)
    missing = [workspace.tasks[name] for name in names if name not in there.tasks]
    if doubts:
        missing.sort(key=lambda task: -doubts.get(task.task, -1.0))  # a stable sort; unknown ones come last
    progress(len(names) - len(missing))
    changes = [] if settings is None else _apply_to_settings(client, project, settings, wishes, wanted, there.used)
    if wishes.categories:
        offered = {*wishes.categories}
        if settings is not None and not wishes.restore_config:
            offered |= there.used & {*categories_of(settings["label_config"])}
        if left_out := [name for name in wanted if name not in offered]:
            changes.append(f"expected by tasks, but not in --category, so nobody can choose: {', '.join(left_out)}")
    changes += _said(there, wishes, len(names) - len(missing))
    if stale := there.tasks & set(background.settled):
        changes.append(f"still in the queue, but settled meanwhile, as their texts say: {count_of(len(stale), 'task')}")
    for start in range(0, len(missing), _BATCH):
        batch = missing[start : start + _BATCH]
        _upload(client, workspace, project, batch, there.addresses)
        client.import_tasks(project, [_entry(task, there.addresses, background) for task in batch])
        progress(len(batch))
    return Pushed(project, len(missing), changes)


def _expected(tasks: Iterable[AnnotationTask]) -> list[str]:
    return sorted({task.category for task in tasks if task.category})


def settings_of(client: LabelStudioClient, project: int) -> dict[str, Any] | None:
    """Return the settings of a project, or None if it was deleted on the server."""
    try:
        return client.project(project)
    except GoneError:
        return None


def _upload(
    client: LabelStudioClient,
    workspace: Workspace,
    project: int,
    tasks: Iterable[AnnotationTask],
    addresses: dict[str, str],
) -> None:
    """Upload the pictures of tasks that are not on the server yet, and add their addresses."""
    pictures = {task.picture: workspace.picture(task.task) for task in tasks if task.picture not in addresses}
    with ThreadPoolExecutor(UPLOADS) as pool:
        found = pool.map(lambda path: client.upload_picture(project, path), pictures.values())
        addresses.update(zip(pictures, found, strict=True))


def _entry(task: AnnotationTask, addresses: Mapping[str, str], known: Background) -> dict[str, Any]:
    entry: dict[str, Any] = {"data": data_of(task, addresses[task.picture], known)}
    guess = prediction_of(task.task, known)
    return entry if guess is None else entry | {"predictions": [guess]}


def _apply_to_tasks(
    client: LabelStudioClient,
    workspace: Workspace,
    project: int,
    known: Background,
) -> _There:
    """Give the tasks on the server the texts and pre-annotations of the workspace; tell what the project has."""
    there = _There()
    for entry in list(client.tasks(project)):  # fetched whole, because changes would move the pages
        name = str(entry["data"].get("task"))
        there.tasks.add(name)
        notes = [*(entry.get("annotations") or ()), *(entry.get("drafts") or ())]
        there.used |= {choice for note in notes for choice in _choices(note.get("result"))}
        task = workspace.tasks.get(name)
        if task is None:
            continue
        there.addresses[task.picture] = str(entry["data"][IMAGE])
        data = data_of(task, there.addresses[task.picture], known)
        if any(entry["data"].get(key) != value for key, value in data.items()):
            client.change_task(entry["id"], entry["data"] | data)
            there.reworded += 1
        ours = [guess for guess in entry.get("predictions") or () if is_ours(guess)]
        wanted = prediction_of(name, known)
        if (len(ours) == 1 and wanted is not None and is_same(ours[0], wanted)) or not (ours or wanted):
            continue
        if notes:
            there.kept += 1
            continue
        if wanted is not None:
            client.add_prediction(entry["id"], project, wanted)
        for guess in ours:
            client.delete_prediction(guess["id"])
        there.redone += 1
    return there


def _choices(results: Any) -> set[str]:
    """Return the categories chosen in a result list, which may be broken."""
    found = set()
    for result in results if isinstance(results, list) else ():
        if isinstance(result, dict) and result.get("from_name") == CATEGORY and isinstance(result.get("value"), dict):
            found |= {choice for choice in result["value"].get("choices") or () if isinstance(choice, str)}
    return found


def _apply_to_settings(
    client: LabelStudioClient,
    project: int,
    settings: dict[str, Any],
    wishes: Wishes,
    expected: Sequence[str],
    used: set[str],
) -> list[str]:
    """Change categories and overlap of a running project; return what was changed and what could not be."""
    changes = []
    if not wishes.restore_config:
        before = categories_of(settings["label_config"])
        asked = list(wishes.categories) or list(dict.fromkeys([*before, *expected]))
        stay = [name for name in before if name not in asked and name in used]
        after = [*asked, *stay]
        if set(after) != set(before):
            client.change_project(project, label_config=with_categories(settings["label_config"], after))
            changes += [f"category added: {name}" for name in after if name not in before]
            changes += [f"category removed: {name}" for name in before if name not in after]
        changes += [f"category kept, because someone chose it: {name}" for name in stay]
    if wishes.overlap is not None and wishes.overlap != settings.get("maximum_annotations"):
        client.change_project(project, maximum_annotations=wishes.overlap)
        changes.append(f"people for each task: {wishes.overlap}, before {settings.get('maximum_annotations')}")
    return changes


def _said(there: _There, wishes: Wishes, shown: int) -> list[str]:
    said = []
    if there.reworded:
        said.append(f"texts changed: {count_of(there.reworded, 'task')}")
    if there.redone:
        said.append(f"pre-annotations replaced: {count_of(there.redone, 'task')}")
    if there.kept:
        said.append(f"pre-annotations not replaced, because someone has begun to draw: {count_of(there.kept, 'task')}")
    if wishes.uncertain_first and shown:
        said.append(
            f"order not changed: {count_of(shown, 'task is', 'tasks are')} there already; sort the tasks by "
            "'Prediction score' and choose 'Label Tasks As Displayed'"
        )
    return said
