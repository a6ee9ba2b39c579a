from collections import Counter
from datetime import date

import pytest
from typer.testing import CliRunner

from annotation_tools.assignments import ASSIGNMENTS, assign, assigned_to, loads, read_assignments, release
from annotation_tools.cli import app
from annotation_tools.quality.dashboard import summarise
from annotation_tools.rulings import Return, add_returns, now
from earthreason.errors import DataFormatError, EarthReasonError, UnknownNameError

from .conftest import box, drawn

DUE = date(2026, 12, 15)


def test_tasks_are_shared_evenly_and_never_twice_to_one_person(workspace):
    new = assign(workspace, ["ana", "ben", "cleo"], per_image=2, due=DUE)
    assert len(new) == 8
    assert sorted(Counter(entry.annotator for entry in new).values()) == [2, 3, 3]
    people = assigned_to(workspace)
    assert {task: len(set(names)) for task, names in people.items()} == dict.fromkeys("abcd", 2)
    assert assign(workspace, ["ana", "ben", "cleo"], per_image=2) == []


def test_addresses_are_one_person_whatever_their_case(workspace):
    assign(workspace, ["Ana@Example.org"], count=3)
    assert assign(workspace, ["ana@example.ORG"], per_image=1, count=1)[0].task == "d"
    assert [load.annotator for load in loads(workspace)] == ["ana@example.org"]


def test_count_bounds_a_batch_and_the_next_batch_continues(workspace):
    assert [entry.task for entry in assign(workspace, ["ana"], count=1)] == ["a"]
    assert [entry.task for entry in assign(workspace, ["ben"], count=2)] == ["b", "c"]
    assert [(entry.task, entry.annotator) for entry in assign(workspace, ["ana", "ben"])] == [("d", "ana")]


def test_who_has_drawn_a_task_is_not_assigned_to_it(workspace):
    workspace.add_drawings([drawn("a", box((20, 30), 2, 2, 9, 9), "ANA@example.org")])
    new = assign(workspace, ["ana@example.org", "ben"], per_image=2)
    assert [entry.annotator for entry in new if entry.task == "a"] == ["ben"]


def test_what_a_person_did_not_draw_is_taken_back_for_others(workspace):
    assign(workspace, ["ana"])
    workspace.add_drawings([drawn("a", box((20, 30), 2, 2, 9, 9), "ana")])
    assert [entry.task for entry in release(workspace, "ana")] == ["b", "c", "d"]
    assert assigned_to(workspace) == {"a": ["ana"]}
    assert [entry.task for entry in assign(workspace, ["ben"])] == ["b", "c", "d"]
    with pytest.raises(UnknownNameError, match="cleo"):
        release(workspace, "cleo")


def send_back(workspace, task):
    rejected = [drawing.fingerprint for drawing in workspace.drawings()[task]]
    add_returns(workspace, [Return(task, "too small", ["rita"], now(), rejected)])


def test_a_mask_that_was_sent_back_waits_again_and_all_commands_count_it(workspace):
    assign(workspace, ["Ana@Lab.org"], due=DUE)
    workspace.add_drawings([drawn(task, box((20, 30), 2, 2, 9, 9), "ANA@lab.org") for task in "ab"])
    send_back(workspace, "a")
    after = date(2026, 12, 16)
    (load,) = loads(workspace, after)
    (ana,) = summarise(workspace, day=after).people
    assert (load.tasks, load.drawn, load.late) == (4, 1, 3)
    assert (ana.name, ana.waiting, ana.overdue) == ("ANA@lab.org", 3, 3)
    assert [entry.task for entry in release(workspace, "ana@lab.org")] == ["a", "c", "d"]


def test_two_spellings_of_an_address_leave_nothing_waiting(workspace):
    assign(workspace, ["ana@lab.org"], count=2)
    for task, name in (("a", "ana@lab.org"), ("b", "Ana@Lab.org")):
        workspace.add_drawings([drawn(task, box((20, 30), 2, 2, 9, 9), name)])
    assert [person.waiting for person in summarise(workspace).people] == [0, 0]


def test_a_mask_that_was_sent_back_can_be_assigned(workspace):
    workspace.add_drawings([drawn(task, box((20, 30), 2, 2, 9, 9), "ana") for task in "abcd"])
    assert assign(workspace, ["ben"]) == []
    send_back(workspace, "b")
    assert [(entry.task, entry.annotator) for entry in assign(workspace, ["ben"])] == [("b", "ben")]
    assert assign(workspace, ["ben", "cleo"]) == []


def test_late_is_the_day_after_the_last_one(workspace):
    assign(workspace, ["ana"], due=DUE)
    workspace.add_drawings([drawn("a", box((20, 30), 2, 2, 9, 9), "ana")])
    (there,) = loads(workspace, date(2026, 12, 15))
    assert (there.tasks, there.drawn, there.late, there.due) == (4, 1, 0, "2026-12-15")
    assert loads(workspace, date(2026, 12, 16))[0].late == 3


def test_a_line_cut_off_by_a_crash_is_no_assignment_and_a_damaged_one_is_named(workspace):
    assign(workspace, ["Ana Müller"], count=2)
    path = workspace.root / ASSIGNMENTS
    path.write_bytes(path.read_bytes()[:-9])
    assert [entry.annotator for entry in read_assignments(workspace)] == ["Ana Müller"]
    path.write_text('{"task": "a", "annotator": "x", "due": "soon"}\n')
    with pytest.raises(DataFormatError, match=r"assignments.jsonl line 1"):
        read_assignments(workspace)


@pytest.mark.parametrize("name", ["", "  ", "a\x00b", "x" * 300])
def test_a_name_that_is_none_is_refused(workspace, name):
    with pytest.raises(EarthReasonError, match="is not a name"):
        assign(workspace, [name])
    assert not (workspace.root / ASSIGNMENTS).exists()


def run(*words):
    return CliRunner().invoke(app, ["masks", "assign", *map(str, words)])


def test_the_command_assigns_shows_and_takes_back(workspace):
    assert "no task is assigned" in run(workspace.root).output
    told = run(workspace.root, "--to", "ana", "--to", "ben", "--due", "2026-12-15", "--per-image", "3").output
    assert "assigned: 8 tasks" in told
    assert "not enough people: fewer than 3 for 4 tasks" in told
    shown = run(workspace.root).output
    assert "ana" in shown
    assert "2026-12-15" in shown
    assert "taken back from ben: 4 tasks" in run(workspace.root, "--release", "ben").output


@pytest.mark.parametrize(
    ("words", "message"), [(["--to", "ana", "--due", "soon"], "is not a day"), (["--count", "2"], "need --to")]
)
def test_the_command_says_what_is_wrong(workspace, words, message):
    result = run(workspace.root, *words)
    assert result.exit_code != 0
    assert message in str(result.exception)
    assert not (workspace.root / ASSIGNMENTS).exists()
