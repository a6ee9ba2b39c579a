"""The commands of `earthreason-annotation masks` that work with Label Studio: install, start, collect."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earthreason.cli.app import stderr, stdout
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

from .hosts import remote_hint
from .workspace import Workspace

if TYPE_CHECKING:
    from .labelstudio.client import LabelStudioClient
    from .labelstudio.collect import Collected

WorkArgument = Annotated[Path, typer.Argument(metavar="WORK", help="Folder of the annotation project.")]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="Address of your team's Label Studio, instead of a local one.")
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="LABEL_STUDIO_API_KEY", help="Access token for --url (Account & Settings there)."),
]
RepairOption = Annotated[
    bool, typer.Option("--repair", help="Fill self-intersecting polygons even-odd, and clip at the image border.")
]


def install() -> None:
    """Install Label Studio into its own environment; `start` also does this on first use.

    Example: earthreason-annotation masks install
    """
    from .labelstudio.environment import ensure_program

    stdout().print(f"{ensure_program()}", soft_wrap=True)


def start(
    work: WorkArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            help="Category that annotators can choose; repeatable.",
            show_default="the expected ones of the tasks",
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(
            "--overlap",
            min=1,
            help="Number of people who draw each task.",
            show_default="2; a running project keeps its number",
        ),
    ] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Show only images that `adjudicate` left for a third person.")
    ] = False,
    uncertain_first: Annotated[
        bool,
        typer.Option("--uncertain-first", help="Add tasks first on whose masks models disagree most."),
    ] = False,
    restore_config: Annotated[
        bool, typer.Option("--restore-config", help="Restore the labelling configuration if it was edited.")
    ] = False,
    assist: Annotated[
        str | None, typer.Option("--assist", help="Address of a running `assist`, which answers clicks with masks.")
    ] = None,
    assist_key: Annotated[
        str | None,
        typer.Option("--assist-key", envvar="EARTHREASON_ASSIST_KEY", help="Access key of the assist, if it has one."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address that the local server listens on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Port that the local server listens on.")
    ] = 8080,
) -> None:
    """Run Label Studio with a prepared project, or add the project to your team's server (--url, --token).

    A project that is there already gets new tasks, and changed categories, texts, pre-annotations and --overlap.

    Example: earthreason-annotation masks start work --category runway --category bridge
    """
    from .assist.connect import check_address, connect_assist, settings_for
    from .labelstudio.project import LOCAL, Wishes, push_project
    from .rulings import current_consensus

    workspace = Workspace.open(work)
    only = None
    if queue:
        consensus = current_consensus(workspace)
        only = [name for name, entry in consensus.items() if not entry.settled]
        if not only:
            why = "all adjudicated tasks are settled" if consensus else "run `adjudicate` first"
            raise EarthReasonError(f"{work}: no task is waiting for a third person; {why}")
    assist = assist and check_address(assist)
    with _server(workspace, url, token, host, port, settings_for(assist) if assist else None) as (client, login):
        shown = len(workspace.tasks) if only is None else len(only)
        with progress_bar(total=shown, unit="task", desc="adding", leave=False) as bar, workspace.changing():
            pushed = push_project(
                client,
                workspace,
                (url or LOCAL).rstrip("/"),
                Wishes(categories or (), overlap, restore_config, uncertain_first),
                only,
                bar.update,
            )
        console = stdout()
        console.print(
            f"project: {client.url}/projects/{pushed.project}/data ({count_of(pushed.added, 'task')} added)",
            soft_wrap=True,
        )
        for change in pushed.changes:
            console.print(change, soft_wrap=True, markup=False)
        if assist:
            connect_assist(client, pushed.project, assist, assist_key)
            console.print(f"clicks are answered by {assist}: switch on Auto-Annotation below the image", soft_wrap=True)
        console.print(f"annotators create accounts at {client.invite_url()}", soft_wrap=True, markup=False)
        if url is None and (hint := remote_hint(host)):
            console.print(hint, soft_wrap=True, markup=False)
        if login is None:
            console.print(f"afterwards: earthreason-annotation masks collect {work} --url {url}", soft_wrap=True)
            return
        console.print(f"sign in as {login}; Ctrl-C collects the drawings and stops", soft_wrap=True, markup=False)
        _until_interrupted()
        _collect(client, workspace, LOCAL)


def _until_interrupted() -> None:
    """Wait for Ctrl-C or a request to terminate."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        stderr().print("stopping")


@contextmanager
def _server(
    workspace: Workspace,
    url: str | None,
    token: str | None,
    host: str,
    port: int,
    settings: Mapping[str, str] | None = None,
) -> Iterator[tuple[LabelStudioClient, str | None]]:
    """Connect to the team's server, or to a local one that runs until the block ends; yield client and login."""
    from .labelstudio.client import LabelStudioClient
    from .labelstudio.environment import ensure_program, installed_program
    from .labelstudio.server import local_server

    if url is not None:
        if token is None:
            raise EarthReasonError(f"--url {url} needs --token (or LABEL_STUDIO_API_KEY): see Account & Settings there")
        with LabelStudioClient(url, token) as client:
            yield client, None
        return
    if installed_program() is None:
        stderr().print("installing Label Studio into its own environment; this takes a few minutes, once")
    program = ensure_program()
    stderr().print("starting Label Studio; the first start takes longer because it creates the database")
    folder = workspace.root.resolve() / "label-studio"
    with (
        local_server(program, folder, host, port, settings) as running,
        LabelStudioClient(running.url, running.login.token) as client,
    ):
        yield client, f"{running.login.email}, password {running.login.password}"


def collect(
    work: WorkArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    repair: RepairOption = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Withdraw drawings whose annotation was deleted on the server.")
    ] = False,
) -> None:
    """Fetch drawings. Unreadable ones are listed and the command exits with 2; all others are stored.

    Example: earthreason-annotation masks collect work
    """
    from .labelstudio.client import LabelStudioClient
    from .labelstudio.collect import known_server
    from .labelstudio.project import LOCAL
    from .labelstudio.server import login_of

    workspace = Workspace.open(work)
    known = known_server(workspace, url and url.rstrip("/"))
    local = known.name == LOCAL
    if not local and token is None:
        raise EarthReasonError(f"{known.name} needs --token (or LABEL_STUDIO_API_KEY): see Account & Settings there")
    secret = login_of(work / "label-studio").token if local else token
    with LabelStudioClient(known.url, secret or "") as client:
        _collect(client, workspace, known.name, repair, withdraw)
    for other in workspace.servers():
        if other != known.name:
            stdout().print(f"not fetched: {other}, which also has a project (--url {other})", soft_wrap=True)


def _collect(
    client: LabelStudioClient, workspace: Workspace, server: str, repair: bool = False, withdraw: bool = False
) -> None:
    from .formats.base import ReadOptions
    from .labelstudio.collect import CollectError, collect_drawings

    try:
        _print_collected(
            workspace, collect_drawings(client, workspace, server, ReadOptions(repair=repair), withdraw), withdraw
        )
    except CollectError as error:
        _print_collected(workspace, error.collected, withdraw)
        raise


def _print_collected(workspace: Workspace, results: Collected, withdraw: bool) -> None:
    console = stdout()
    summary = ", ".join(f"{results.counts[kind]} {kind}" for kind in ("new", "changed", "same"))
    console.print(
        f"{workspace.root}: drawings {summary}; {results.skipped} skipped, "
        f"{count_of(results.undrawn, 'task')} not drawn",
        soft_wrap=True,
    )
    if results.superseded:
        console.print(
            f"superseded: {results.superseded}, because the same person saved another drawing of the task later",
            soft_wrap=True,
        )
    if results.ignored:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(results.ignored.items()))
        console.print(f"without an area, so not read: {counts}", soft_wrap=True, markup=False)
    if results.gone:
        names = ", ".join(results.gone[:5]) + (", ..." if len(results.gone) > 5 else "")
        what = "withdrawn" if withdraw else "their drawings still count, --withdraw withdraws them"
        console.print(
            f"deleted or skipped on the server after they were collected: {len(results.gone)} ({names}); {what}",
            soft_wrap=True,
            markup=False,
        )
