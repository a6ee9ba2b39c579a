"""`earthreason-annotation`: draw masks and review questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import command_line, guard, make_app, report_json, stdout
from earthreason.cli.options import JsonOption, refuse_file_early
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

from . import assist_cli, masks_cli, settle_cli
from . import managing_cli as managing_cli  # adds commands to `masks`
from .hosts import local_url, remote_hint
from .workspace import Workspace, fingerprints

app = make_app("earthreason-annotation", "Draw masks and review questions.")
app.add_typer(masks_cli.app, name="masks")
app.command()(assist_cli.assist)
app.command()(settle_cli.settle)
_LISTED = 10
ReviewFolder = Annotated[Path, typer.Argument(metavar="REVIEW", help="Folder of a review.")]


@app.command()
def review(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC", help="Release, export, annotation project, run of `questions generate`, or 'sample'."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the review; an existing review is continued.")],
    overlap: Annotated[
        float, typer.Option("--overlap", min=0, max=1, help="Share of the images that several people judge.")
    ] = 0.1,
    per_image: Annotated[
        int, typer.Option("--per-image", min=2, help="Number of people who judge each of those images.")
    ] = 2,
    second_pass: Annotated[
        float,
        typer.Option(
            "--second-pass",
            min=0,
            max=1,
            help="Share of the images shown again to the same person, without the first verdict.",
        ),
    ] = 0.05,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed for choosing those images.")] = 0,
    stale_ok: Annotated[
        bool, typer.Option("--stale-ok", help="Continue the review even if SRC has changed since it was created.")
    ] = False,
    reviewers: Annotated[
        list[str] | None,
        typer.Option("--reviewer", help="Person who may judge; repeatable.", show_default="anybody"),
    ] = None,
    leads: Annotated[
        list[str] | None,
        typer.Option("--lead", help="Person who sees all verdicts, withdraws them and settles disputes; repeatable."),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8765,
) -> None:
    """Review questions in the browser with the keyboard. Every verdict is saved immediately.

    Example: earthreason-annotation review sample --out review
    """
    from earthreason.cli.ports import check_free

    from .review.build import open_review
    from .review.model import Plan
    from .review.roles import Roles
    from .review.serve import serve

    roles = Roles.of(reviewers, leads)
    check_free(host, port)
    with progress_bar(unit="image", desc="preparing", leave=False) as bar:
        store = open_review(source, out, Plan(overlap, per_image, second_pass, seed), bar.update, stale_ok)
    console = stdout()
    place = local_url(host, port)
    console.print(
        f"{count_of(store.questions, 'question')} about {count_of(store.images, 'image')}: {place}/", soft_wrap=True
    )
    if hint := remote_hint(host):
        console.print(hint, soft_wrap=True)
    then = command_line("earthreason-annotation", "verdicts", out, "--out", "verdicts.jsonl")
    console.print(f"Ctrl-C stops; verdicts are in {out}. Afterwards: {then}", soft_wrap=True)
    serve(store, host, port, roles)
    store.close()


@app.command()
def verdicts(
    folder: ReviewFolder,
    out: Annotated[Path, typer.Option("--out", help="JSONL file to write.")],
) -> None:
    """Write the verdicts of a review to a file that `earthreason questions review-in RUN FILE` reads.

    Example: earthreason-annotation verdicts review --out verdicts.jsonl
    """
    from .review.schema import STORE
    from .review.store import ReviewStore
    from .review.verdicts import write_verdicts

    store = ReviewStore(folder / STORE)
    counts = write_verdicts(store, out)
    summary = ", ".join(f"{verdict} {count}" for verdict, count in counts.items()) or "no verdicts yet"
    stdout().print(f"{out}: {summary}", soft_wrap=True)
    if store.setting("run"):
        then = command_line("earthreason", "questions", "review-in", store.setting("source"), out)
        stdout().print(f"next: {then}", soft_wrap=True, markup=False)


@app.command()
def agreement(
    work: masks_cli.WorkArgument,
    reviews: Annotated[
        Path | None, typer.Option("--reviews", help="Folder of a review whose verdicts are compared as well.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write an HTML page into this folder.", callback=refuse_file_early)
    ] = None,
    json_out: JsonOption = None,
) -> None:
    """Measure how well annotators and reviewers agree: IoU, outlines, kappa, alpha, prevalence, time, drift.

    Example: earthreason-annotation agreement work --report agreement
    """
    from .quality.agreement import measure_quality
    from .quality.report import print_quality, write_quality
    from .review.schema import STORE
    from .review.store import ReviewStore

    workspace = Workspace.open(work)
    verdicts = None if reviews is None else list(ReviewStore(reviews / STORE).verdicts())
    with progress_bar(unit="task", desc="comparing", leave=False) as bar:
        quality = measure_quality(workspace, verdicts, bar.update)
    if report_json(json_out, quality.to_dict()):
        print_quality(quality, stdout())
    if report is not None:
        stdout().print(f"page: {write_quality(report, quality, workspace, verdicts)}", soft_wrap=True)


@app.command()
def adjudicate(
    work: masks_cli.WorkArgument,
    method: Annotated[
        str, typer.Option("--method", help="Method of merging masks: majority (pixel by pixel) or staple.")
    ] = "majority",
    min_iou: Annotated[float, typer.Option("--min-iou", min=0, max=1, help="Minimum IoU at which masks agree.")] = 0.7,
    min_drawings: Annotated[
        int, typer.Option("--min-drawings", min=1, help="Number of people who must have drawn an image.")
    ] = 1,
    adjudicators: Annotated[
        list[str] | None,
        typer.Option("--adjudicator", help="Person whose masks are final, whatever others drew; repeatable."),
    ] = None,
) -> None:
    """Merge several masks of an image into one, and queue images for a third person.

    Example: earthreason-annotation adjudicate work --min-iou 0.8
    """
    from .gold import without_gold
    from .quality.adjudicate import Rules
    from .quality.adjudicate import adjudicate as settle
    from .rulings import apply_rulings, usable_drawings

    workspace = Workspace.open(work)
    everything = workspace.drawings()
    drawings = without_gold(workspace, everything)
    if not drawings:
        raise EarthReasonError(f"{work}: there are no drawings yet; run `masks start`, then `masks collect`")
    annotators = {drawing.annotator for several in drawings.values() for drawing in several}
    for name in adjudicators or ():
        if name not in annotators:
            raise UnknownNameError("--adjudicator", name, annotators)
    usable = usable_drawings(workspace, drawings)
    with progress_bar(total=len(usable), unit="task", desc="merging", leave=False) as bar:
        entries = settle(usable, Rules(method, min_iou, min_drawings, tuple(adjudicators or ())), bar.update)
    merged = {e.drawing.task: replace(e, sources=fingerprints(drawings[e.drawing.task])) for e in entries}
    with workspace.changing():
        workspace.write_consensus(merged.values())
    entries = list(apply_rulings(workspace, drawings, merged).values())
    waiting = [entry for entry in entries if not entry.settled]
    console = stdout()
    undrawn = len(workspace.tasks) - len(everything)
    console.print(
        f"{work}: {count_of(len(entries) - len(waiting), 'image')} settled, {len(waiting)} waiting for another person, "
        f"{count_of(undrawn, 'task')} not drawn",
        soft_wrap=True,
    )
    if len(drawings) < len(everything):
        console.print(f"gold tasks, which are not merged: {len(everything) - len(drawings)}")
    for entry in waiting[:_LISTED]:
        console.print(f"  {entry.drawing.task}: {entry.reason}", soft_wrap=True, markup=False)
    if len(waiting) > _LISTED:
        console.print(f"  ... and {len(waiting) - _LISTED} more")
    if waiting:
        then = command_line("earthreason-annotation", "masks", "start", work, "--queue", "--overlap", 1)
        console.print(f"next: {then}", soft_wrap=True, markup=False)


@app.command()
def dashboard(
    work: masks_cli.WorkArgument,
    reviews: Annotated[
        Path | None, typer.Option("--reviews", help="Folder of a review whose verdicts are counted.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0, help="Cost of an hour, from which the cost of a drawing follows.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write an HTML page into this folder.", callback=refuse_file_early)
    ] = None,
    json_out: JsonOption = None,
) -> None:
    """Show how far a project is: drawn, waiting, reviewed, agreement, pace, cost, deadlines and gold tasks by person.

    Example: earthreason-annotation dashboard work --reviews review --rate 25 --out dashboard
    """
    from .quality.dashboard import summarise
    from .quality.dashboard_page import print_dashboard, write_dashboard
    from .review.schema import STORE
    from .review.store import ReviewStore

    workspace = Workspace.open(work)
    store = None if reviews is None else ReviewStore(reviews / STORE)
    verdicts, questions = (None, 0) if store is None else (list(store.verdicts()), store.questions)
    state = summarise(workspace, verdicts, questions, rate)
    if report_json(json_out, state.to_dict()):
        print_dashboard(state, stdout())
    if out is not None:
        stdout().print(f"page: {write_dashboard(out, state, work)}", soft_wrap=True)


def run() -> None:
    """Entry point of `earthreason-annotation`."""
    guard(app)
