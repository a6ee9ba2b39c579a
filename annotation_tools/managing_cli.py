"""`masks assign` and `masks return`: who is to draw what, and what must be drawn again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import command_line, stdout
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of

from . import masks_cli
from .workspace import Workspace

_LISTED = 10


@masks_cli.app.command()
def assign(
    work: masks_cli.WorkArgument,
    people: Annotated[
        list[str] | None,
        typer.Option("--to", help="Name or e-mail address of a person to assign tasks to; repeatable."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("--count", min=1, help="Most new tasks for each person.", show_default="an equal share of all"),
    ] = None,
    due: Annotated[str | None, typer.Option("--due", help="Last day for these tasks, such as 2026-12-15.")] = None,
    per_image: Annotated[int, typer.Option("--per-image", min=1, help="Number of people who draw each task.")] = 1,
    release: Annotated[
        list[str] | None, typer.Option("--release", help="Take back what this person has not drawn; repeatable.")
    ] = None,
) -> None:
    """Assign tasks to people, take tasks back, or show who has what.

    Example: earthreason-annotation masks assign work --to ana --to ben --per-image 2 --due 2026-12-15
    """
    from earthreason.reports.tables import new_table, print_table

    from . import assignments

    workspace, console = Workspace.open(work), stdout()
    if not people and (count is not None or due is not None or per_image != 1):
        raise EarthReasonError("--count, --due and --per-image need --to: name the people to assign tasks to")
    names = [assignments.person(name) for name in people or ()]
    last_day = None if due is None else _day(due)
    for name in release or ():
        ended = assignments.release(workspace, name)
        console.print(f"taken back from {name}: {count_of(len(ended), 'task')}", soft_wrap=True, markup=False)
    if names:
        new = assignments.assign(workspace, names, count, last_day, per_image)
        console.print(f"assigned: {count_of(len(new), 'task')}", soft_wrap=True)
        short = [task for task, there in assignments.people_of(workspace).items() if len(there) < per_image]
        if short:
            console.print(
                f"not enough people: fewer than {per_image} for {count_of(len(short), 'task')}", soft_wrap=True
            )
    rows = assignments.loads(workspace)
    if not rows:
        console.print(f"{work}: no task is assigned", soft_wrap=True)
        return
    table = new_table("annotator", "next last day", numbers=("assigned", "drawn", "late"))
    for row in rows:
        table.add_row(row.annotator, row.due or "-", str(row.tasks), str(row.drawn), str(row.late))
    print_table(table, console)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise EarthReasonError(f"--due {text!r} is not a day; give it as 2026-12-15") from None


@masks_cli.app.command("return")
def return_(
    work: masks_cli.WorkArgument,
    reviews: Annotated[Path, typer.Option("--reviews", help="Folder of the review in which masks were rejected.")],
) -> None:
    """Send masks that reviewers rejected as wrong back to be drawn again, with the reviewers' notes.

    Example: earthreason-annotation masks return work --reviews review
    """
    from .review.returns import rejected_masks
    from .rulings import add_returns

    workspace, console = Workspace.open(work), stdout()
    found = rejected_masks(workspace, reviews)
    with workspace.changing():
        new = add_returns(workspace, found.returns)
    console.print(f"{work}: {count_of(len(new), 'mask')} sent back to be drawn again", soft_wrap=True)
    for entry in new[:_LISTED]:
        console.print(f"  {entry.task}: {entry.comment}", soft_wrap=True, markup=False)
    if len(new) > _LISTED:
        console.print(f"  ... and {len(new) - _LISTED} more")
    for names, why in (
        (found.changed, "left out, changed or sent back since the review"),
        (found.unknown, "left out, not in the workspace"),
    ):
        if names:
            more = ", ..." if len(names) > _LISTED else ""
            console.print(f"{why}: {', '.join(names[:_LISTED])}{more}", soft_wrap=True, markup=False)
    if new:
        then = command_line("earthreason-annotation", "masks", "start", work)
        console.print(f"next: {then}", soft_wrap=True, markup=False)
