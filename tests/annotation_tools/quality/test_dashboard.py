"""The dashboard: counts, pace, cost, deadlines and gold tasks, worked by hand."""

import io
import json
from datetime import date

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from annotation_tools.cli import app
from annotation_tools.gold import write_gold
from annotation_tools.quality.adjudicate import Rules, adjudicate
from annotation_tools.quality.dashboard import drawing_seconds, summarise
from annotation_tools.quality.dashboard_page import print_dashboard, write_dashboard
from earthreason.errors import DataFormatError

from ..conftest import box, drawn

SIZE = (20, 30)
A, HALF, FAR = box(SIZE, 2, 2, 12, 12), box(SIZE, 2, 2, 12, 7), box(SIZE, 14, 20, 18, 28)
DAY = date(2026, 1, 10)


def at(clock, seconds=None):
    return {"created": f"2026-01-01T{clock}Z", "seconds": seconds}


@pytest.fixture
def running(workspace):
    """Anna drew a, b and the gold task d, ben a and b otherwise; c waits for both."""
    workspace.add_drawings(
        [
            drawn("a", A, "anna", **at("10:00:00", 60.0)),
            drawn("b", A, "anna", **at("10:02:00", 120.0)),
            drawn("d", HALF, "anna", **at("10:04:00", 60.0)),
            drawn("a", A, "<ben>", **at("10:00:00")),
            drawn("b", FAR, "<ben>", **at("10:02:00")),
        ]
    )
    write_gold(workspace, [drawn("d", A, "")])
    rows = [
        ("a", "anna", "2026-01-05"),
        ("c", "anna", "2026-01-09"),
        ("c", "<ben>", "2026-01-12"),
        ("d", "<ben>", None),
    ]
    lines = [json.dumps(dict(zip(("task", "annotator", "due"), row, strict=True))) for row in rows]
    (workspace.root / "assignments.jsonl").write_text("\n".join(lines) + "\n")
    workspace.write_consensus(adjudicate({name: workspace.drawings()[name] for name in "ab"}, Rules()))
    return workspace


def verdict(number, reviewer, round_=1):
    return {"split": "test", "sample_id": "a", "number": number, "reviewer": reviewer, "round": round_}


def test_totals_and_people(running):
    given = [verdict(0, "anna"), verdict(1, "anna"), verdict(0, "cleo"), verdict(0, "cleo", 2)]
    state = summarise(running, given, 5, rate=36, day=DAY)
    assert (state.tasks, state.drawn, state.settled, state.disputed, state.gold) == (3, 2, 1, 1, 1)
    assert state.questions == (5, 2)
    assert state.iou == 0.5  # a: 1, b: 0
    ben, anna, cleo = state.people
    assert [person.name for person in state.people] == ["<ben>", "anna", "cleo"]
    assert (anna.drawn, anna.waiting, anna.reviewed, anna.iou) == (3, 1, 2, 0.5)
    assert (anna.due, anna.overdue) == (date(2026, 1, 9), 1)
    # Three drawings in 240 seconds are 45 an hour; at 36 an hour, 80 cents each.
    assert (anna.per_hour, anna.cost) == pytest.approx((45, 0.8))
    assert (anna.gold.tasks, anna.gold.iou) == (1, 0.5)
    # One known length, the two minutes between saves: 30 an hour.
    assert (ben.per_hour, ben.cost) == pytest.approx((30, 1.2))
    assert (ben.waiting, ben.due, ben.overdue, ben.gold) == (2, date(2026, 1, 12), 0, None)
    assert (cleo.drawn, cleo.reviewed, cleo.per_hour) == (0, 1, None)
    assert json.dumps(state.to_dict())


@pytest.mark.parametrize(
    ("saves", "lengths"),
    [
        ([("10:00:00", None)], []),  # when it began is unknown
        ([("10:00:00", None), ("10:01:30", None)], [90]),
        ([("10:00:00", None), ("10:30:00", None), ("11:00:01", None)], [1800]),  # a second more is a break
        ([("10:00:00", 5.0), ("12:00:00", 7.0)], [5, 7]),  # measured by the tool
        ([("10:00:00", 5.0), ("10:00:00", None)], [5]),  # imported together
    ],
)
def test_lengths_are_measured_or_the_time_between_saves(saves, lengths):
    work = [drawn(f"t{n}", A, "anna", **at(clock, seconds)) for n, (clock, seconds) in enumerate(saves)]
    assert drawing_seconds(work) == lengths


def test_an_untouched_project_has_dashes(workspace, tmp_path):
    state = summarise(workspace, day=DAY)
    assert (state.drawn, state.people, state.iou, state.cost) == (0, [], None, None)
    assert "Nobody has drawn anything yet" in write_dashboard(tmp_path / "page", state, workspace.root).read_text()


def test_drawings_without_any_time_have_no_pace(workspace):
    workspace.add_drawings([drawn("a", np.zeros(SIZE, bool), "anna", created="", seconds=None)])
    (anna,) = summarise(workspace, rate=10, day=DAY).people
    assert (anna.per_hour, anna.cost, anna.waiting) == (None, None, None)


def test_table_and_page_show_the_same_and_load_nothing(running, tmp_path):
    state = summarise(running, rate=36, day=DAY)
    console = Console(file=io.StringIO(), width=200)
    print_dashboard(state, console)
    page = write_dashboard(tmp_path / "page", state, running.root).read_text()
    for text in ("2 of 3 tasks", "45.0", "0.80", "0.500 (1)", "1 late since 2026-01-09", "2026-01-12, in 2 days"):
        assert text in page
        assert text in console.file.getvalue()
    assert "&lt;ben&gt;" in page
    assert "http" not in page


def test_whole_names_are_printed_in_80_columns_and_nothing_in_them_is_markup(workspace):
    names = ["anastasia.konstantinopoulou@remote-sensing.example.org", "[/b] [red]ben"]
    workspace.add_drawings([drawn("a", A, name, **at("10:00:00", 60.0)) for name in names])
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    print_dashboard(summarise(workspace, day=DAY), console)
    cells = [line.strip().partition("  ")[0] for line in console.file.getvalue().splitlines()]
    assert "".join(cells).endswith("[/b] [red]ben" + names[0])
    assert "reviewed" not in console.file.getvalue()  # there is no review


@pytest.mark.parametrize("line", ["3", "null", '{"task": "a"}', '{"task": "a", "annotator": "b", "due": "soon"}'])
def test_broken_assignments_are_named_with_their_line(workspace, line):
    (workspace.root / "assignments.jsonl").write_text(line + "\n")
    with pytest.raises(DataFormatError, match=r"assignments\.jsonl line 1: not written by annotation_tools"):
        summarise(workspace, day=DAY)


def test_the_command_writes_table_json_and_page(running, tmp_path):
    command = ["dashboard", str(running.root), "--rate", "36", "--out", str(tmp_path / "page")]
    result = CliRunner().invoke(app, [*command, "--json", str(tmp_path / "state.json")])
    assert result.exit_code == 0
    assert "drawn 2 of 3 tasks" in result.stdout
    assert json.loads((tmp_path / "state.json").read_text())["people"][1]["name"] == "anna"
    assert (tmp_path / "page" / "index.html").is_file()
