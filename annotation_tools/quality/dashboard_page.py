"""Show the state of an annotation project as a table in the terminal and as a page."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Console

import earthreason.reports
from earthreason.files import write_text
from earthreason.plurals import count_of
from earthreason.reports.tables import new_table, print_table

from .dashboard import Dashboard, Progress
from .report import number

COLUMNS = ("annotator", "drawn", "waiting", "reviewed", "IoU with others", "per hour", "cost each", "gold", "due")


def print_dashboard(state: Dashboard, console: Console) -> None:
    """Print the totals in a line and everyone's work in a table, without columns that say nothing of anybody."""
    console.print("; ".join(f"{label} {value}" for label, value in totals(state)), soft_wrap=True, markup=False)
    rows = [cells(person, state.day) for person in state.people]
    used = [place for place in range(len(COLUMNS)) if place == 0 or any(row[place] != "-" for row in rows)]
    table = new_table(COLUMNS[0], numbers=[COLUMNS[place] for place in used if place])
    for row in rows:
        table.add_row(*(row[place] for place in used))
    if rows:
        print_table(table, console)


def totals(state: Dashboard) -> list[tuple[str, str]]:
    """List the totals of a project with their labels."""
    listed = [
        ("drawn", f"{state.drawn:,} of {count_of(state.tasks, 'task')}"),
        ("settled", str(state.settled)),
        ("waiting for a third person", str(state.disputed)),
    ]
    if state.gold:
        listed.append(("gold tasks", str(state.gold)))
    if state.questions is not None:
        listed.append(("judged", f"{state.questions[1]:,} of {count_of(state.questions[0], 'question')}"))
    listed += [("mean IoU", number(state.iou)), ("drawings an hour", number(state.per_hour, 1))]
    return listed if state.cost is None else [*listed, ("cost of a drawing", number(state.cost, 2))]


def cells(person: Progress, day: date) -> list[str]:
    """Format a person's work in the order of `COLUMNS`."""
    golden = "-" if person.gold is None else f"{person.gold.iou:.3f} ({person.gold.tasks})"
    return [
        person.name,
        str(person.drawn),
        "-" if person.waiting is None else str(person.waiting),
        "-" if person.reviewed is None else str(person.reviewed),
        number(person.iou),
        number(person.per_hour, 1),
        number(person.cost, 2),
        golden,
        describe_due(person, day),
    ]


def describe_due(person: Progress, day: date) -> str:
    """Describe the next deadline of a person's waiting tasks: its day, and how many are late."""
    if person.due is None:
        return "-"
    if person.overdue:
        return f"{person.overdue} late since {person.due}"
    days = (person.due - day).days
    when = "today" if days == 0 else f"in {count_of(days, 'day')}"
    return f"{person.due}, {when}"


def write_dashboard(folder: Path, state: Dashboard, root: Path) -> Path:
    """Write a self-contained page to `folder/index.html`; return its path."""
    styles = Path(earthreason.reports.__file__).parent / "templates"
    loader = FileSystemLoader([Path(__file__).parent / "templates", styles])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.globals["count_of"] = count_of
    text = environment.get_template("dashboard.html").render(
        state=state,
        root=root,
        totals=totals(state),
        columns=COLUMNS,
        rows=[(person, cells(person, state.day)) for person in state.people],
        number=number,
    )
    page = folder / "index.html"
    write_text(page, text)
    return page
