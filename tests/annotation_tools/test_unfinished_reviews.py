"""What an export says and does if a review is unfinished, and which of several edits counts."""

import pytest
from rich.console import Console
from typer.testing import CliRunner

from annotation_tools.cli import app
from annotation_tools.exports import export_workspace
from annotation_tools.imports import ImportOptions
from annotation_tools.review.build import open_review
from annotation_tools.review.model import Plan, ReviewJudgement
from annotation_tools.review.schema import STORE
from annotation_tools.review.store import ReviewStore, now
from annotation_tools.review.verdicts import review_outcome
from annotation_tools.workspace import Workspace
from earthreason.data.reader import open_source, read_all
from earthreason.errors import EarthReasonError

from .conftest import import_images


@pytest.fixture
def asked(tmp_path, release):
    """A workspace of six samples, a to f, with two questions each."""
    import_images(tmp_path / "asked", str(release), ImportOptions(annotator="expert"))
    return Workspace.open(tmp_path / "asked")


@pytest.fixture
def store(asked, tmp_path):
    """A review in which two people judge every image."""
    open_review(str(asked.root), tmp_path / "review", Plan(overlap=1, second_pass=0)).close()
    opened = ReviewStore(tmp_path / "review" / STORE)
    yield opened
    opened.close()


def judge(store, who, sample, number, verdict, text=""):
    """Judge a question, wherever it is in the person's queue."""
    for place in range(store.questions):
        item = store.item(who, place)
        (row,) = store.rows("SELECT sample_id, number FROM items JOIN samples USING (sample) WHERE item = ?", item.item)
        if row == (sample, number):
            body = {"review": store.review, "reviewer": who, "item": item.item, "place": place, "verdict": verdict}
            revision = item.verdict["revision"] if item.verdict else 0
            reasons = ["leak"] if verdict in ("reject", "unsure") else []
            key = f"{who}-{sample}-{number}-{revision:04}"
            store.judge(ReviewJudgement(**body, text=text, reasons=reasons, revision=revision, key=key))
            return
    raise AssertionError(f"{who} is not asked about {sample} question {number}")


def exported(asked, tmp_path, **options):
    written = export_workspace(
        asked, "release", tmp_path / "out", reviews=review_outcome(tmp_path / "review"), **options
    )
    return written, {record.sample_id: record.questions for _, record in read_all(open_source(tmp_path / "out"))}


def test_questions_without_a_decision_are_counted(asked, store, tmp_path):
    judge(store, "anna", "a", 0, "accept")
    judge(store, "anna", "a", 1, "reject")
    judge(store, "anna", "b", 0, "unsure")
    written, questions = exported(asked, tmp_path)
    # Twelve questions: one rejected, eleven written, of which all but a's first are undecided.
    assert (written.questions, written.undecided) == (11, 10)
    assert [len(questions[name]) for name in "abcdef"] == [1, 2, 2, 2, 2, 2]


def test_only_reviewed_leaves_out_what_nobody_decided(asked, store, tmp_path):
    judge(store, "anna", "a", 0, "accept")
    judge(store, "anna", "b", 0, "unsure")
    judge(store, "anna", "b", 1, "edit", "Where could one moor a ferry?")
    written, questions = exported(asked, tmp_path, only_reviewed=True)
    assert questions == {"a": [asked.tasks["a"].questions[0]], "b": ["Where could one moor a ferry?"]}
    assert (written.questions, written.undecided) == (2, 10)


def test_a_finished_review_has_nothing_undecided(asked, store, tmp_path):
    for name in "abcdef":
        for number in range(2):
            judge(store, "anna", name, number, "accept")
    written, _ = exported(asked, tmp_path)
    assert (written.questions, written.undecided) == (12, 0)


def test_only_reviewed_needs_a_review(asked, tmp_path):
    with pytest.raises(EarthReasonError, match="--only-reviewed needs --reviews"):
        export_workspace(asked, "release", tmp_path / "out", only_reviewed=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        # The latest edit counts, whoever made it.
        ([("anna", "edit", "First?"), ("ben", "edit", "Second?")], "Second?"),
        ([("anna", "edit", "First?"), ("ben", "edit", "Second?"), ("anna", "edit", "Third?")], "Third?"),
        # Whoever accepts afterwards takes back their own edit, not that of the other.
        ([("anna", "edit", "First?"), ("ben", "edit", "Second?"), ("ben", "accept", "")], "First?"),
        ([("anna", "edit", "First?"), ("ben", "accept", "")], "First?"),
    ],
)
def test_of_two_edits_the_rule_of_the_settlement_chooses(asked, store, tmp_path, verdicts, text):
    for who, verdict, new in verdicts:
        judge(store, who, "a", 0, verdict, new)
        saved = now()
        while now() == saved:  # verdicts of one millisecond have no order
            pass
    _, questions = exported(asked, tmp_path)
    assert questions["a"][0] == text


def test_the_command_says_that_the_review_is_unfinished(asked, store, tmp_path, monkeypatch):
    judge(store, "anna", "a", 0, "accept")
    monkeypatch.setattr("annotation_tools.masks_cli.stdout", lambda: Console(width=400))
    command = ["masks", "export", str(asked.root), "--format", "release", "--reviews", str(tmp_path / "review")]
    said = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "all")]).stdout
    assert "the review is unfinished; undecided: 11 of 12 remaining questions, exported all the same" in said
    said = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "few"), "--only-reviewed"]).stdout
    assert "the review is unfinished; undecided: 11 of 12 remaining questions, left out" in said
