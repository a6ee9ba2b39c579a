"""A mask that reviewers rejected goes back to be drawn again."""

import uuid
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the annotation extra is not installed")
from typer.testing import CliRunner

from annotation_tools.cli import app
from annotation_tools.drawing import draw
from annotation_tools.exports import export_workspace
from annotation_tools.release import settled_entries
from annotation_tools.review.build import open_review
from annotation_tools.review.model import Plan, ReviewJudgement
from annotation_tools.rulings import all_returns, current_consensus, returned_comments
from earthreason.data.reader import open_source, read_all
from earthreason.errors import EarthReasonError

from ..conftest import box, drawn

SIZE = (20, 30)
FIRST, SECOND = box(SIZE, 2, 2, 9, 9), box(SIZE, 2, 2, 9, 20)


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0
    return " ".join(result.output.split())


@pytest.fixture
def reviewed(workspace, tmp_path):
    """Two tasks drawn and settled, with a review in which the mask of `a` was rejected."""
    workspace.replace_tasks([replace(task, questions=["Where?"]) for task in workspace.tasks.values()])
    workspace.add_drawings([drawn(task, FIRST, who) for task in "ab" for who in ("ana", "ben")])
    run("adjudicate", workspace.root)
    store = open_review(str(workspace.root), tmp_path / "review", Plan(overlap=0, second_pass=0))
    for verdict in ({"verdict": "reject", "reasons": ["wrong-mask"], "note": "misses the east"}, {"verdict": "accept"}):
        item = store.item("rita")
        same = {"review": store.review, "reviewer": "rita", "item": item.item, "place": item.place, "revision": 0}
        store.judge(ReviewJudgement(**same, key=str(uuid.uuid4()), **verdict))
    store.close()
    return workspace


def test_a_rejected_mask_waits_until_someone_draws_again_and_then_counts_no_more(reviewed, tmp_path):
    told = run("masks", "return", reviewed.root, "--reviews", tmp_path / "review")
    assert "1 mask sent back to be drawn again" in told
    assert "a: misses the east (wrong-mask)" in told
    assert returned_comments(reviewed) == {"a": "misses the east (wrong-mask)"}
    assert list(settled_entries(reviewed)) == ["b"]
    written = export_workspace(reviewed, "png", tmp_path / "out")
    assert list(written.returned) == ["a"]
    assert not (tmp_path / "out" / "a.png").exists()
    assert "a: sent back by rita: misses the east" in run("adjudicate", reviewed.root)
    assert not current_consensus(reviewed)["a"].settled

    reviewed.add_drawings([drawn("a", SECOND, "ana", created="2027-01-01T10:00:00Z")])
    assert returned_comments(reviewed) == {}
    assert "2 images settled, 0 waiting" in run("adjudicate", reviewed.root)
    entry = settled_entries(reviewed)["a"]
    assert np.array_equal(entry.drawing.mask, SECOND)
    assert [person["annotator"] for person in entry.behind] == ["ana"]


def test_the_other_verdicts_hold_when_a_returned_mask_was_drawn_again(reviewed, tmp_path):
    run("masks", "return", reviewed.root, "--reviews", tmp_path / "review")
    reviewed.add_drawings([drawn("a", SECOND, "ana", created="2027-01-01T10:00:00Z")])
    run("adjudicate", reviewed.root)
    words = ("masks", "export", reviewed.root, "--format", "parquet", "--reviews", tmp_path / "review", "--out")
    told = run(*words, tmp_path / "out")
    assert f"{tmp_path / 'out'}: test 1" in told
    assert "left out, drawn again since the review, so judge them in a new one: 1 (a)" in told
    assert "rejected" not in told  # a rejection of the earlier mask is no longer one
    assert [record.sample_id for _, record in read_all(open_source(tmp_path / "out"))] == ["b"]

    reviewed.add_drawings([drawn("b", SECOND, who, created="2027-01-01T10:00:00Z") for who in ("ana", "ben")])
    run("adjudicate", reviewed.root)
    with pytest.raises(EarthReasonError, match="1 sample has changed since the review: 'b' has another"):
        run(*words, tmp_path / "second")


def test_returning_twice_returns_once(reviewed, tmp_path):
    words = ("masks", "return", reviewed.root, "--reviews", tmp_path / "review")
    run(*words)
    again = run(*words)
    assert "0 masks sent back" in again
    assert "changed or sent back since the review: a" in again
    assert len(all_returns(reviewed)) == 1


def test_a_mask_drawn_again_since_the_review_is_not_sent_back(reviewed, tmp_path):
    reviewed.add_drawings([drawn("a", SECOND, who, created="2027-01-01T10:00:00Z") for who in ("ana", "ben")])
    run("adjudicate", reviewed.root)
    assert "0 masks sent back" in run("masks", "return", reviewed.root, "--reviews", tmp_path / "review")
    assert list(settled_entries(reviewed)) == ["a", "b"]


def test_a_single_drawing_without_adjudication_is_left_out_too(workspace, tmp_path):
    workspace.replace_tasks([replace(task, questions=["Where?"]) for task in workspace.tasks.values()])
    workspace.add_drawings([draw(task, FIRST, "pond", annotator="ana", key=task) for task in "ab"])
    store = open_review(str(workspace.root), tmp_path / "review", Plan(overlap=0, second_pass=0))
    same = {"review": store.review, "reviewer": "rita", "place": 0, "revision": 0, "key": "key-00001"}
    store.judge(ReviewJudgement(**same, item=store.item("rita").item, verdict="reject", reasons=["wrong-empty"]))
    store.close()
    run("masks", "return", workspace.root, "--reviews", tmp_path / "review")
    assert list(settled_entries(workspace)) == ["b"]
