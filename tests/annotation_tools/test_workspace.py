from dataclasses import replace

import pytest

from annotation_tools.workspace import Workspace

from .conftest import box, drawn

SIZE = (20, 30)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085"])
def test_a_line_separator_inside_a_text_is_no_end_of_the_line(workspace, mark):
    text = f"Where{mark}is it?"
    workspace.add_tasks([replace(workspace.tasks["a"], questions=[text])])
    workspace.add_drawings([drawn("a", box(SIZE, 1, 1, 5, 5), "anna", category=text)])
    again = Workspace.open(workspace.root)
    assert list(again.tasks) == ["a", "b", "c", "d"]
    assert again.tasks["a"].questions == [text]
    assert again.drawings()["a"][0].category == text


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2026-01-02T00:30:00+02:00", "2026-01-01T23:00:00Z"),
        ("2026-01-01T10:00:00", "2026-01-01T10:00:00.5Z"),
        ("", "1970-01-01"),
        ("yesterday", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00.900Z", "2026-01-01T10:00:01Z"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00.100000Z"),
    ],
)
def test_the_newest_drawing_is_the_last_by_time_and_not_by_its_letters(workspace, earlier, later):
    first, second = (
        drawn("a", box(SIZE, 1, 1, 5, side), "anna", created=when, key=when)
        for side, when in ((5, later), (6, earlier))
    )
    workspace.add_drawings([first, second])
    (newest,) = workspace.drawings()["a"]
    assert newest.created == later
