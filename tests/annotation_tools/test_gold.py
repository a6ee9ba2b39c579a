"""Gold tasks test people, and count nowhere else."""

import numpy as np
import pytest
from typer.testing import CliRunner

from annotation_tools.cli import app
from annotation_tools.errors import DrawingError
from annotation_tools.exports import export_workspace
from annotation_tools.gold import gold, write_gold
from annotation_tools.quality.adjudicate import Rules, adjudicate
from annotation_tools.quality.agreement import measure_quality
from annotation_tools.quality.gold_scores import score_gold
from annotation_tools.rulings import current_consensus
from annotation_tools.settle.queue import SettleQueue
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.masks.png import encode_mask_png

from .conftest import box, drawn

SIZE = (20, 30)
TRUTH = box(SIZE, 2, 2, 12, 12)  # 100 pixels
HALF = box(SIZE, 2, 2, 12, 7)  # 50 of them
NONE = np.zeros(SIZE, bool)


@pytest.fixture
def tested(workspace):
    """Gold tasks a and b (no target); anna drew both, ben one, and both drew c."""
    write_gold(workspace, [drawn("a", TRUTH, ""), drawn("b", NONE, "")])
    workspace.add_drawings([drawn("a", HALF, "anna"), drawn("a", TRUTH, "ben"), drawn("b", NONE, "anna")])
    workspace.add_drawings([drawn("c", TRUTH, "anna"), drawn("c", TRUTH, "ben")])
    return workspace


def test_people_are_scored_by_their_iou_with_the_gold_masks(tested):
    scores = score_gold(gold(tested), tested.drawings())
    # Anna: 50 / 100, and 1 for two empty masks. Ben: 1.
    assert (scores["anna"].tasks, scores["anna"].iou, scores["anna"].worst) == (2, 0.75, "a")
    assert (scores["ben"].tasks, scores["ben"].iou) == (1, 1)


def test_gold_tasks_do_not_count_in_agreement(tested):
    found = measure_quality(tested)
    assert (found.images, found.iou[0]) == (1, 1)


def test_gold_tasks_are_not_exported_and_that_is_said(tested, tmp_path):
    everything = tested.drawings()
    tested.write_consensus(adjudicate({name: everything[name] for name in "c"}, Rules()))
    written = export_workspace(tested, "png", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["c.png"]
    assert (written.gold, written.undrawn, written.unadjudicated) == (["a", "b"], ["d"], [])
    mine = export_workspace(tested, "png", tmp_path / "anna", annotator="anna")
    assert (mine.counts, mine.gold) == ({"test": 1}, ["a", "b"])


def test_tasks_adjudicated_before_they_became_gold_are_not_exported_either(tested, tmp_path):
    tested.write_consensus(adjudicate(tested.drawings(), Rules()))
    written = export_workspace(tested, "png", tmp_path / "out")
    assert (written.counts, written.unsettled) == ({"test": 1}, [])


def test_adjudicate_leaves_gold_tasks_alone_and_says_so(tested):
    said = CliRunner().invoke(app, ["adjudicate", str(tested.root)]).stdout
    assert "1 image settled, 0 waiting for another person, 1 task not drawn" in said.replace("\n", " ")
    assert "gold tasks, which are not merged: 2" in said
    assert list(tested.consensus()) == ["c"]


def test_nobody_is_asked_to_settle_a_gold_task(tested):
    other = box(SIZE, 13, 20, 18, 28)
    tested.add_drawings([drawn("d", TRUTH, "anna"), drawn("d", other, "ben"), drawn("a", other, "cleo")])
    queue = SettleQueue(tested, Rules())
    assert list(queue.cases()) == ["d"]
    tested.write_consensus(adjudicate(tested.drawings(), Rules()))  # before `d` becomes a gold task, too
    assert [task for task, entry in current_consensus(tested).items() if not entry.settled] == ["d"]
    write_gold(tested, [drawn("d", TRUTH, "")])
    assert list(queue.cases()) == []
    assert list(current_consensus(tested)) == ["c"]


def test_a_workspace_of_gold_tasks_only_has_nothing_to_export(workspace, tmp_path):
    write_gold(workspace, [drawn("a", TRUTH, "")])
    workspace.add_drawings([drawn("a", TRUTH, "anna")])
    with pytest.raises(EarthReasonError, match="no image has a settled mask"):
        export_workspace(workspace, "png", tmp_path / "out")


def test_gold_masks_are_added_and_replaced(workspace):
    assert write_gold(workspace, [drawn("a", TRUTH, "")]) == 1
    assert write_gold(workspace, [drawn("a", HALF, ""), drawn("b", TRUTH, "")]) == 2
    assert np.array_equal(gold(workspace)["a"].mask, HALF)


def test_gold_masks_that_fit_no_task_are_refused_and_none_is_kept(workspace):
    with pytest.raises(DrawingError) as caught:
        write_gold(workspace, [drawn("a", TRUTH, ""), drawn("z", TRUTH, ""), drawn("b", np.ones((2, 2), bool), "")])
    assert len(caught.value.faults) == 2
    assert gold(workspace) == {}


@pytest.mark.parametrize("line", ["3", "null", "[[[[", '{"task": "a"}'])
def test_a_broken_gold_file_is_named_with_its_line(workspace, line):
    (workspace.root / "gold.jsonl").write_text(line + "\n")
    with pytest.raises(DataFormatError, match=r"gold\.jsonl line 1: not written by annotation_tools"):
        gold(workspace)


def test_masks_are_imported_as_gold_by_an_option_and_by_nobody(workspace, tmp_path):
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "a.png").write_bytes(encode_mask_png(TRUTH))
    command = ["masks", "import", str(workspace.root), "--masks", str(tmp_path / "gold"), "--gold"]
    refused = CliRunner().invoke(app, [*command, "--annotator", "anna"])
    assert isinstance(refused.exception, EarthReasonError)
    assert "--gold masks are nobody's drawings" in str(refused.exception)
    assert CliRunner().invoke(app, command).exit_code == 0
    assert np.array_equal(gold(workspace)["a"].mask, TRUTH)
    assert workspace.drawings() == {}
    assert workspace.prelabels() == {}
