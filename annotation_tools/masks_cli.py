"""`python -m annotation_tools masks ...`: import, prelabel, start, collect, export."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotation_tools.workspace import Workspace
from earthreason.cli.app import stderr, stdout
from earthreason.errors import EarthReasonError

if TYPE_CHECKING:
    from annotation_tools.labelstudio.client import LabelStudioClient

app = typer.Typer(help="Draw masks with Label Studio, or import them.", no_args_is_help=True, rich_markup_mode=None)
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


@app.command("import")
def import_(
    work: WorkArgument,
    source: Annotated[
        str | None, typer.Argument(metavar="SRC", help="Pictures, GeoTIFFs, a release, an export, or 'sample'.")
    ] = None,
    masks: Annotated[
        list[Path] | None,
        typer.Option("--masks", help="COCO, labelme, CVAT, Label Studio, GeoJSON, GeoPackage, or a folder of PNGs."),
    ] = None,
    annotator: Annotated[
        str | None,
        typer.Option("--annotator", help="Person who drew the masks; if omitted, they become pre-annotations."),
    ] = None,
    category: Annotated[str | None, typer.Option("--category", help="Import only shapes with this label.")] = None,
    unnamed: Annotated[str | None, typer.Option("--as", help="Category of masks that name none.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Target that the masks show, on images with several targets.")
    ] = None,
    new_targets: Annotated[
        bool, typer.Option("--new-targets", help="Make a target of each category found on an image.")
    ] = False,
    instances: Annotated[
        bool, typer.Option("--instances", help="Keep each shape as a separate target of its image.")
    ] = False,
    layer: Annotated[str | None, typer.Option("--layer", help="Layer of a vector file with several.")] = None,
    label_field: Annotated[
        str | None,
        typer.Option(
            "--label-field",
            help="Field of a vector file that holds the category.",
            show_default="category, label, class or name",
        ),
    ] = None,
    repair: RepairOption = False,
    unmarked_is_empty: Annotated[
        bool, typer.Option("--unmarked-is-empty", help="Count images listed without shapes as 'no target'.")
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            help="Split of pictures that do not state one: train, validation or test.",
            show_default="test if new",
        ),
    ] = None,
    gsd: Annotated[
        float | None, typer.Option("--gsd", min=0.001, help="GSD in metres per pixel of pictures that do not state it.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option("--bands", help="TIFF bands for red, green and blue, such as 4,3,2.")
    ] = None,
) -> None:
    """Import pictures and masks into an annotation project. If any input is invalid, nothing is imported.

    Example: python -m annotation_tools masks import work scenes/ --masks polygons.geojson
    """
    from tqdm import tqdm

    from annotation_tools.formats.base import ReadOptions
    from annotation_tools.imports import ImportOptions, import_all
    from earthreason.data.schema import SPLIT_ALIASES, SPLITS
    from earthreason.errors import UnknownNameError

    if source is None and not masks:
        raise EarthReasonError("nothing to import; specify SRC, --masks, or both")
    split = split and SPLIT_ALIASES.get(split, split)
    if split is not None and split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    read = ReadOptions(category, repair, unmarked_is_empty, unnamed, target, instances, new_targets, layer, label_field)
    options = ImportOptions(split, gsd, _bands(bands), annotator, read)
    with tqdm(unit="image", desc="importing", leave=False) as bar:
        results = import_all(work, source, masks or (), options, bar.update)
    if source is not None:
        images, *results = results
        stdout().print(f"{work}: {images.images} new images, {images.masks} masks with them", soft_wrap=True)
        if images.dropped:
            message = f"{images.dropped} pre-annotations were dropped because their pictures were replaced"
            stdout().print(message, soft_wrap=True)
    for path, of_path in zip(masks or (), results, strict=True):
        stdout().print(f"{path}: {of_path.masks} masks", soft_wrap=True)
        _print_left_out(of_path.skipped, of_path.strangers)


def _print_left_out(skipped: Mapping[str, int], strangers: Sequence[str]) -> None:
    if skipped:
        counts = ", ".join(f"{count} {kind}" for kind, count in skipped.items())
        stdout().print(f"left out: {counts}", soft_wrap=True, markup=False)
    if strangers:
        named = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
        stdout().print(f"not in the workspace: {len(strangers)} images ({named})", soft_wrap=True, markup=False)


def _bands(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    try:
        red, green, blue = (int(part) for part in text.split(","))
    except ValueError:
        raise EarthReasonError(f"--bands {text}: must be three band numbers, such as 4,3,2") from None
    return red, green, blue


@app.command()
def prelabel(
    work: WorkArgument,
    model: Annotated[
        str,
        typer.Option("--model", help="Model to run: superpixels, grabcut, sam, a model of baselines, or MODULE:CLASS."),
    ] = "grabcut",
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", help="Folder or Hub id of the weights, for models that need them.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Torch device.")] = "cpu",
    question: Annotated[
        str | None,
        typer.Option("--question", help="Question asked about every image.", show_default="each task's first"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace existing pre-annotations.")] = False,
) -> None:
    """Predict masks for people to correct. After an interruption, run it again to continue.

    Example: python -m annotation_tools masks prelabel work --model grabcut
    """
    from tqdm import tqdm

    from annotation_tools.prelabels import build_helper
    from annotation_tools.prelabels import prelabel as run_prelabel

    workspace = Workspace.open(work)
    helper = build_helper(model, checkpoint, device)
    with tqdm(total=len(workspace.tasks), unit="image", desc=model) as bar:
        results = run_prelabel(workspace, helper, model, question, replace, progress=bar.update)
    empty = sum(drawing.is_empty for drawing in results.values())
    summary = f"{len(results)} pre-annotations by {model}, {empty} of them empty"
    kept = len(workspace.tasks) - len(results)
    stays = f"; {kept} images keep the masks they had (use --replace to replace them)" if kept else ""
    stdout().print(f"{work}: {summary}{stays}", soft_wrap=True)


@app.command()
def install() -> None:
    """Install Label Studio into its own environment; `start` also does this on first use.

    Example: python -m annotation_tools masks install
    """
    from annotation_tools.labelstudio.environment import ensure_program

    stdout().print(f"{ensure_program()}", soft_wrap=True)


@app.command()
def start(
    work: WorkArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(
            "--category",
            help="Category that annotators can choose; repeatable.",
            show_default="the expected ones of the images",
        ),
    ] = None,
    overlap: Annotated[int, typer.Option("--overlap", min=1, help="Number of people who draw each image.")] = 2,
    queue: Annotated[
        bool, typer.Option("--queue", help="Show only images that `adjudicate` left for a third person.")
    ] = False,
    restore_config: Annotated[
        bool, typer.Option("--restore-config", help="Restore the labelling configuration if it was edited.")
    ] = False,
    host: Annotated[str, typer.Option("--host", help="Address that the local server listens on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Port that the local server listens on.")
    ] = 8080,
) -> None:
    """Run Label Studio with a prepared project, or add the project to your team's server (--url, --token).

    Example: python -m annotation_tools masks start work --category runway --category bridge
    """
    from tqdm import tqdm

    from annotation_tools.labelstudio.project import LOCAL, push_project
    from annotation_tools.rulings import current_consensus

    workspace = Workspace.open(work)
    only = [name for name, entry in current_consensus(workspace).items() if not entry.settled] if queue else None
    if queue and not only:
        raise EarthReasonError(f"{work}: no image is waiting for a third person; run `adjudicate` first")
    with _server(workspace, url, token, host, port) as (client, login):
        shown = len(workspace.tasks) if only is None else len(only)
        with tqdm(total=shown, unit="task", desc="adding", leave=False) as bar, workspace.changing():
            pushed = push_project(
                client,
                workspace,
                (url or LOCAL).rstrip("/"),
                categories or (),
                overlap,
                only,
                restore_config,
                bar.update,
            )
        console = stdout()
        console.print(
            f"project: {client.url}/projects/{pushed.project}/data ({pushed.added} tasks added)", soft_wrap=True
        )
        console.print(f"annotators create accounts at {client.invite_url()}", soft_wrap=True, markup=False)
        if login is None:
            console.print(f"afterwards: python -m annotation_tools masks collect {work} --url {url}", soft_wrap=True)
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
    workspace: Workspace, url: str | None, token: str | None, host: str, port: int
) -> Iterator[tuple[LabelStudioClient, str | None]]:
    """Connect to the team's server, or to a local one that runs until the block ends; yield client and login."""
    from annotation_tools.labelstudio.client import LabelStudioClient
    from annotation_tools.labelstudio.environment import ensure_program, installed_program
    from annotation_tools.labelstudio.server import local_server

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
        local_server(program, folder, host, port) as running,
        LabelStudioClient(running.url, running.login.token) as client,
    ):
        yield client, f"{running.login.email}, password {running.login.password}"


@app.command()
def collect(work: WorkArgument, url: UrlOption = None, token: TokenOption = None, repair: RepairOption = False) -> None:
    """Fetch drawings. Unreadable ones are listed and the command exits with 2; all others are stored.

    Example: python -m annotation_tools masks collect work
    """
    from annotation_tools.labelstudio.client import LabelStudioClient
    from annotation_tools.labelstudio.project import LOCAL, known_server
    from annotation_tools.labelstudio.server import login_of

    workspace = Workspace.open(work)
    known = known_server(workspace, url and url.rstrip("/"))
    local = known.name == LOCAL
    if not local and token is None:
        raise EarthReasonError(f"{known.name} needs --token (or LABEL_STUDIO_API_KEY): see Account & Settings there")
    secret = login_of(work / "label-studio").token if local else token
    with LabelStudioClient(known.url, secret or "") as client:
        _collect(client, workspace, known.name, repair)
    for other in workspace.servers():
        if other != known.name:
            stdout().print(f"not fetched: {other}, which also has a project (--url {other})", soft_wrap=True)


def _collect(client: LabelStudioClient, workspace: Workspace, server: str, repair: bool = False) -> None:
    from annotation_tools.formats.base import ReadOptions
    from annotation_tools.labelstudio.project import collect_drawings

    results = collect_drawings(client, workspace, server, ReadOptions(repair=repair))
    summary = ", ".join(f"{results.counts[kind]} {kind}" for kind in ("new", "changed", "same"))
    stdout().print(
        f"{workspace.root}: drawings {summary}; {results.skipped} skipped, {results.undrawn} tasks not drawn",
        soft_wrap=True,
    )


@app.command()
def export(
    work: WorkArgument,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="Format to write: release, parquet, coco, webdataset, cvat, labelme, labelstudio, png or geojson.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist, or be empty.")],
    annotator: Annotated[
        str | None, typer.Option("--annotator", help="Export this person's masks instead of the agreed ones.")
    ] = None,
    reviews: Annotated[
        Path | None,
        typer.Option("--reviews", help="Folder of a review, which omits rejected questions and replaces edited ones."),
    ] = None,
) -> None:
    """Export the settled masks and their annotators. The folder appears only when it is complete.

    Example: python -m annotation_tools masks export work --format release --out released --reviews review
    """
    from annotation_tools.exports import export_workspace
    from annotation_tools.review.verdicts import review_outcome
    from earthreason.cli.questions import print_left_out

    outcome = None if reviews is None else review_outcome(reviews)
    written = export_workspace(Workspace.open(work), form, out, annotator, outcome)
    console = stdout()
    counts = ", ".join(f"{split} {count}" for split, count in written.counts.items())
    console.print(f"{out}: {counts}", soft_wrap=True)
    for names, why in (
        (written.unsettled, "waiting for a third person"),
        (list(written.returned), "sent back to be drawn again"),
        (written.unadjudicated, "drawn after the last `adjudicate`"),
        (written.undrawn, f"{annotator} has not drawn" if annotator else "no one has drawn"),
    ):
        if names:
            console.print(
                f"left out, {why}: {len(names)} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})",
                soft_wrap=True,
                markup=False,
            )
    print_left_out(written.left_out, console)
    if form == "release":
        console.print(f"next: earthreason verify {out}", soft_wrap=True)
