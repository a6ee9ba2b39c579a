"""How much two models disagree, on tasks that share a picture, and stored so that a run can be continued."""

from dataclasses import replace

import numpy as np
import pytest

from annotation_tools.drawing import draw
from annotation_tools.prelabels import compare, prelabel, shared_pictures
from annotation_tools.uncertainty import UNCERTAINTY, uncertainty_of
from annotation_tools.workspace import Workspace
from earthreason.errors import DataFormatError, EarthReasonError

from ..conftest import box

SIZE = (20, 30)


class Rows:
    """Marks the rows that the question names, and counts its questions."""

    def __init__(self):
        self.asked = []

    def predict(self, images, questions):
        self.asked += questions
        return [box(SIZE, 0, 0, int(question.split()[-1]), 30) for question in questions]


def test_the_uncertainty_is_one_minus_iou(workspace):
    workspace.write_prelabels({"a": draw("a", box(SIZE, 0, 0, 10, 30)), "b": draw("b", np.zeros(SIZE, bool))})
    assert compare(workspace, Rows(), "rows", question="mark 15") == {"a": pytest.approx(1 / 3), "b": 1.0}
    assert uncertainty_of(workspace) == {"a": pytest.approx(1 / 3), "b": 1.0}  # 10 rows of 15; nothing of 15


def test_what_was_compared_is_not_compared_again_unless_the_pre_annotation_changed(workspace):
    workspace.write_prelabels({"a": draw("a", box(SIZE, 0, 0, 10, 30)), "b": draw("b", box(SIZE, 0, 0, 5, 30))})
    compare(workspace, Rows(), "rows", question="mark 10")
    assert compare(workspace, Rows(), "rows", question="mark 10") == {}
    workspace.write_prelabels(workspace.prelabels() | {"b": draw("b", box(SIZE, 0, 0, 10, 30))})
    assert compare(workspace, Rows(), "rows", question="mark 10") == {"b": 0.0}


def test_without_pre_annotations_there_is_nothing_to_compare(workspace):
    with pytest.raises(EarthReasonError, match="no pre-annotations to compare with"):
        compare(workspace, Rows(), "rows")


def test_a_damaged_file_is_named_with_its_line(workspace):
    (workspace.root / UNCERTAINTY).write_text('{"task": "a", "uncertainty": 2, "models": [], "prelabel": ""}\n')
    with pytest.raises(DataFormatError, match="uncertainty.jsonl line 1"):
        uncertainty_of(workspace)


def test_tasks_that_share_a_picture_are_predicted_by_their_own_questions(workspace):
    first = workspace.tasks["a"]
    workspace.add_tasks([replace(first, task="a2", questions=["mark 7"]), replace(first, questions=["mark 3"])])
    workspace = Workspace.open(workspace.root)
    assert shared_pictures(workspace, workspace.tasks) == 2
    assert shared_pictures(workspace, list(workspace.tasks)[:1]) == 0  # the others kept their masks
    model = Rows()
    workspace.add_tasks([replace(workspace.tasks[name], questions=["mark 1"]) for name in "bcd"])
    found = prelabel(workspace, model, "rows")
    assert {name: int(found[name].mask.sum()) // 30 for name in ("a", "a2", "b")} == {"a": 3, "a2": 7, "b": 1}
    assert model.asked[:2] == ["mark 3", "mark 7"]  # one after another, so that an embedding can be kept
