"""`earthreason-annotation masks ...`: import, prelabel, start, collect, export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import command_line, stdout
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

from . import assist_cli, labelstudio_cli
from .labelstudio_cli import RepairOption
from .labelstudio_cli import WorkArgument as WorkArgument  # for the other commands
from .workspace import Workspace

app = typer.Typer(help="Draw masks with Label Studio, or import them.", no_args_is_help=True, rich_markup_mode=None)


@app.command("import")
def import_(
    work: WorkArgument,
    source: Annotated[
        str | None, typer.Argument(metavar="SRC", help="Pictures, GeoTIFFs, a release, an export, or 'sample'.")
    ] = None,
    masks: Annotated[
        list[Path] | None,
        typer.Option(
            "--masks",
            help="COCO, labelme, CVAT, VIA, YOLO, VOC, Label Studio, GeoJSON, GeoPackage, Shapefile, FlatGeobuf, "
            "KML or label pictures: a file, folder or ZIP.",
        ),
    ] = None,
    annotator: Annotated[
        str | None,
        typer.Option("--annotator", help="Person who drew the masks; if omitted, they become pre-annotations."),
    ] = None,
    category: Annotated[
        str | None,
        typer.Option(
            "--category", help="Import only shapes with this label, or pixels of this value: 3, '#E2A929' or '>127'."
        ),
    ] = None,
    unnamed: Annotated[str | None, typer.Option("--as", help="Category of masks that name none.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Target that the masks show, on images with several targets.")
    ] = None,
    new_targets: Annotated[
        bool,
        typer.Option(
            "--new-targets",
            help="Make a target of each category found on an image, of masks named IMAGE__TARGET, or of --target.",
        ),
    ] = False,
    instances: Annotated[
        bool, typer.Option("--instances", help="Keep each shape as a separate target of its image.")
    ] = False,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Layer of a vector file with several, or '*' for all.")
    ] = None,
    label_field: Annotated[
        str | None,
        typer.Option(
            "--label-field",
            help="Field or attribute that holds the category (vectors, CVAT, VIA), or '' for none.",
            show_default="category, label, class or name",
        ),
    ] = None,
    gold: Annotated[
        bool, typer.Option("--gold", help="Keep the masks as gold masks, with which annotators' work is checked.")
    ] = False,
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
        str | None,
        typer.Option("--bands", help="Bands of TIFF and JPEG 2000 files for red, green and blue, such as 4,3,2."),
    ] = None,
) -> None:
    """Import pictures and masks into an annotation project. If any input is invalid, nothing is imported.

    Example: earthreason-annotation masks import work scenes/ --masks polygons.geojson
    """
    from earthreason.data.schema import SPLIT_ALIASES, SPLITS
    from earthreason.errors import UnknownNameError

    from .formats.base import ReadOptions
    from .imports import ImportOptions, import_all

    if source is None and not masks:
        raise EarthReasonError("nothing to import; specify SRC, --masks, or both")
    if gold and annotator is not None:
        raise EarthReasonError("--gold masks are nobody's drawings; omit --annotator")
    for option, text in (("--as", unnamed), ("--target", target), ("--category", category)):
        if text is not None and not text.strip():
            raise EarthReasonError(f"{option} is empty; give a name, or omit it")
    split = split and SPLIT_ALIASES.get(split, split)
    if split is not None and split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    read = ReadOptions(category, repair, unmarked_is_empty, unnamed, target, instances, new_targets, layer, label_field)
    options = ImportOptions(split, gsd, _bands(bands), annotator, read, gold)
    with progress_bar(unit="image", desc="importing", leave=False) as bar:
        results = import_all(work, source, masks or (), options, bar.update)
    if source is not None:
        images, *results = results
        stdout().print(
            f"{work}: {count_of(images.images, 'new image')}, {count_of(images.masks, 'mask')} with them",
            soft_wrap=True,
        )
        if images.dropped:
            dropped = count_of(images.dropped, "pre-annotation was", "pre-annotations were")
            stdout().print(f"{dropped} dropped, because pictures were replaced", soft_wrap=True)
    for path, of_path in zip(masks or (), results, strict=True):
        new = f", {count_of(of_path.images, 'new target')}" if of_path.images else ""
        stdout().print(f"{path}: {count_of(of_path.masks, 'mask')}{new}", soft_wrap=True, markup=False)
        _print_left_out(of_path.skipped, of_path.strangers)


def _print_left_out(skipped: Mapping[str, int], strangers: Sequence[str]) -> None:
    if skipped:
        counts = ", ".join(f"{count} {kind}" for kind, count in skipped.items())
        stdout().print(f"left out: {counts}", soft_wrap=True, markup=False)
    if strangers:
        named = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
        stdout().print(
            f"not in the workspace: {count_of(len(strangers), 'image')} ({named})", soft_wrap=True, markup=False
        )


def _bands(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    try:
        red, green, blue = (int(part) for part in text.split(","))
    except ValueError:
        raise EarthReasonError(f"--bands {text}: must be three band numbers, such as 4,3,2") from None
    return red, green, blue


app.command()(assist_cli.prelabel)


app.command()(labelstudio_cli.install)
app.command()(labelstudio_cli.start)
app.command()(labelstudio_cli.collect)


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
    only_reviewed: Annotated[
        bool, typer.Option("--only-reviewed", help="Leave out questions that the review has not decided.")
    ] = False,
) -> None:
    """Export the settled masks and their annotators. The folder appears only when it is complete.

    Example: earthreason-annotation masks export work --format release --out released --reviews review
    """
    from earthreason.cli.questions import print_left_out

    from .exports import export_workspace
    from .review.verdicts import review_outcome

    outcome = None if reviews is None else review_outcome(reviews)
    written = export_workspace(Workspace.open(work), form, out, annotator, outcome, only_reviewed)
    console = stdout()
    counts = ", ".join(f"{split} {count}" for split, count in written.counts.items())
    console.print(f"{out}: {counts}", soft_wrap=True)
    for names, what in (
        (written.unsettled, "left out, waiting for a third person"),
        (list(written.returned), "left out, sent back to be drawn again"),
        (written.redrawn, "left out, drawn again since the review, so judge them in a new one"),
        (written.unadjudicated, "left out, drawn after the last `adjudicate`"),
        (written.undrawn, f"left out, {annotator} has not drawn" if annotator else "left out, no one has drawn"),
        (written.gold, "left out, gold tasks"),
        (written.united, "separate targets united, because a release has one mask a sample (parquet keeps them)"),
    ):
        if names:
            console.print(
                f"{what}: {len(names)} ({', '.join(names[:5])}{', ...' if len(names) > 5 else ''})",
                soft_wrap=True,
                markup=False,
            )
    print_left_out(written.left_out, console)
    if written.undecided:
        total = written.questions if not only_reviewed else (written.questions or 0) + written.undecided
        what = "left out" if only_reviewed else "exported all the same (--only-reviewed leaves them out)"
        console.print(
            f"the review is unfinished; undecided: {written.undecided} of "
            f"{count_of(total or 0, 'remaining question')}, {what}",
            soft_wrap=True,
        )
    if form == "release":
        console.print(f"next: {command_line('earthreason', 'verify', out)}", soft_wrap=True, markup=False)
