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
