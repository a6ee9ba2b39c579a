"""Runs reviewed by people: what is read in, how it is settled, and what an export holds."""

import json
import sqlite3

import numpy as np
import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.data.schema import Record
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.masks.png import encode_mask_png
from earthreason.questions.ledger import KeptReview, Ledger
from earthreason.questions.results import Regenerated, acceptance, read_review, settled_results, write_review
from earthreason.questions.settlement import LeftOut
from earthreason.questions.types import Generated

MASK = encode_mask_png(np.eye(4, dtype=bool))


class Pictures:
    name, counts = "pictures", {"train": 1, "test": 3}

    def read(self, split):
        for sample_id in {"train": ["t"], "test": ["a", "b", "c"]}[split]:
            yield Record(sample_id, b"", MASK, 4, 4, False, ["Old?"], ["Old."], category="pier")


@pytest.fixture
def ledger(tmp_path):
    kept = Ledger(tmp_path / "ledger.sqlite")
    behind = [{"stage": "judge", "model": "m", "prompt": "1-x"}]
    for sample_id in "abc":
        kept.finish("test", Generated(sample_id, "done", ["Q0?", "Q1?"], ["A."], provenance=behind))
    kept.finish("train", Generated("t", "quarantined", ["Q0?"], ["A."], reason="too few"))
    return kept


def line(sample_id="a", number=0, verdict="accept", reviewer="ann", **more):
    return {"sample_id": sample_id, "number": number, "verdict": verdict, "reviewer": reviewer, **more}


def take(ledger, *lines):
    path = ledger.path.parent / "review.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    return read_review(ledger, path)


def texts(ledger):
    return {record.sample_id: record.questions for record in Regenerated(Pictures(), ledger).read("test")}


def test_lines_go_out_and_come_back_with_verdicts(ledger):
    path = ledger.path.parent / "out.jsonl"
    assert write_review(ledger, path) == 7
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    for entry, verdict in zip(lines, ["accept", "edit", "reject", "unsure"], strict=False):
        entry.update(verdict=verdict, reviewer="ann", text="Where else?" if verdict == "edit" else "")
    assert take(ledger, *lines) == {"accept": 1, "edit": 1, "reject": 1, "unsure": 1}
    assert acceptance(ledger) == {"judge m 1-x": {"reviewed": 4, "accepted": 0.25}}
    assert texts(ledger) == {"a": ["Q0?", "Where else?"], "b": ["Q1?"], "c": ["Q0?", "Q1?"]}


def test_an_edit_that_another_person_accepts_is_kept(ledger):
    take(ledger, line(verdict="edit", text="New?", reviewer="zoe"))
    take(ledger, line(verdict="accept", reviewer="ann"))
    assert texts(ledger)["a"] == ["New?", "Q1?"]


def test_a_sample_whose_every_question_is_rejected_is_not_exported_but_named(ledger):
    tie = [line("c", 1, "reject"), line("c", 1, "accept", "ben"), line("c", 0, "reject")]
    take(ledger, line("b", 0, "reject"), line("b", 1, "reject"), *tie)
    assert texts(ledger) == {"a": ["Q0?", "Q1?"]}
    regenerated = Regenerated(Pictures(), ledger)
    assert regenerated.counts == {"test": 1}
    assert regenerated.left_out == LeftOut(rejected=["b"], disputed=["c"], questions=["c question 1"])


def test_a_run_without_any_question_left_is_an_error(ledger):
    take(ledger, *(line(sample_id, number, "reject") for sample_id in "abc" for number in (0, 1)))
    with pytest.raises(EarthReasonError, match="reviewers left no question"):
        Regenerated(Pictures(), ledger)
    with pytest.raises(EarthReasonError, match="no sample is finished"):
        Regenerated(Pictures(), Ledger(ledger.path.parent / "empty.sqlite"))


def test_every_format_applies_the_reviews_and_names_what_it_leaves_out(ledger):
    take(ledger, line("a", 0, "edit", text="New?"), line("b", 0, "reject"), line("b", 1, "reject"))
    out = ledger.path.parent / "out.jsonl"
    done = CliRunner().invoke(
        app, ["questions", "export", str(ledger.path.parent), "--format", "jsonl", "--out", str(out)]
    )
    rows = {row["sample_id"]: row["questions"] for row in map(json.loads, out.read_text().splitlines())}
    assert rows == {"a": ["New?", "Q1?"], "c": ["Q0?", "Q1?"]}
    assert "2 samples" in done.output
    assert "1 samples left out because every question was rejected: b" in done.output


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_latest_verdict_of_a_person_stands_whenever_it_is_read(ledger, newest_first):
    # 14:00 in UTC is later than 15:30 two hours east of it, though its text sorts first.
    early = line(verdict="reject", saved="2026-01-01T15:30:00+02:00")
    late = line(verdict="edit", text="New?", saved="2026-01-01T14:00:00Z")
    for entry in (late, early) if newest_first else (early, late):
        take(ledger, entry)
    assert texts(ledger)["a"] == ["New?", "Q1?"]
    assert [(review.verdict, review.saved) for review in ledger.reviews()] == [
        ("edit", "2026-01-01T14:00:00.000+00:00")
    ]


def test_of_one_person_the_later_of_two_lines_in_a_file_stands(ledger):
    take(ledger, line(verdict="reject"), line(verdict="accept"))
    assert texts(ledger)["a"] == ["Q0?", "Q1?"]


def test_a_ledger_without_times_is_opened_and_its_verdicts_are_the_earliest(tmp_path):
    with sqlite3.connect(tmp_path / "old.sqlite") as old:
        old.execute(
            "CREATE TABLE reviews (sample_id TEXT NOT NULL, number INTEGER NOT NULL, verdict TEXT NOT NULL, "
            "text TEXT NOT NULL, reason TEXT NOT NULL, reviewer TEXT NOT NULL, "
            "PRIMARY KEY (sample_id, number, reviewer))"
        )
        old.execute("INSERT INTO reviews VALUES ('a', 0, 'edit', 'Old edit?', '', 'zoe')")
    ledger = Ledger(tmp_path / "old.sqlite")
    ledger.finish("test", Generated("a", "done", ["Q0?"], []))
    assert ledger.reviews() == [KeptReview("a", 0, "edit", "Old edit?", "", "zoe", "")]
    take(ledger, line(verdict="edit", text="New edit?"))
    ((_, result),) = settled_results(ledger)[0]
    assert result.questions == ["New edit?"]
    ledger.close()
    assert len(Ledger(tmp_path / "old.sqlite").reviews()) == 2


def test_a_line_separator_inside_a_reviewed_text_is_no_end_of_the_line(ledger):
    entry = line(verdict="edit", text="Where\u2028to\u0085rest?")
    path = ledger.path.parent / "review.jsonl"
    path.write_text(json.dumps(entry, ensure_ascii=False) + "\r\n", encoding="utf-8")
    assert read_review(ledger, path) == {"edit": 1}
    assert ledger.reviews()[0].text == entry["text"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"verdict": "maybe"}, "known: accept"),
        ({"verdict": "edit", "text": " "}, "needs the new text"),
        ({"number": 2}, "no question 2"),
        ({"number": -1}, "no question -1"),
        ({"sample_id": "x"}, "'x'"),
        ({"saved": "yesterday"}, "'saved' is not a time"),
    ],
)
def test_a_broken_review_line_is_named_and_no_line_is_kept(ledger, change, words):
    with pytest.raises(DataFormatError, match=f"line 2.*{words}"):
        take(ledger, line(), line(number=1) | change)
    assert ledger.reviews() == []


def test_a_file_that_is_cut_off_is_named_and_no_line_is_kept(ledger):
    path = ledger.path.parent / "review.jsonl"
    path.write_text(json.dumps(line()) + "\n" + json.dumps(line(number=1))[:20])
    with pytest.raises(DataFormatError, match="line 2: not a review line"):
        read_review(ledger, path)
    assert ledger.reviews() == []
