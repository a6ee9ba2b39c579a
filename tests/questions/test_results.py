"""Runs reviewed by people: what is read in, how it is settled, and what an export holds."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.data.exports import export
from earthreason.data.reader import open_source, read_all
from earthreason.data.schema import Record
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.masks.png import encode_mask_png
from earthreason.questions.ledger import Ledger
from earthreason.questions.results import Regenerated, read_results, settled_results
from earthreason.questions.reviews import acceptance, read_review, write_review
from earthreason.questions.settlement import LeftOut
from earthreason.questions.trail import digest_pixels
from earthreason.questions.types import Generated

MASK = encode_mask_png(np.eye(4, dtype=bool))


class Pictures:
    name, counts = "pictures", {"train": 1, "test": 3}

    def read(self, split):
        for sample_id in {"train": ["t"], "test": ["a", "b", "c"]}[split]:
            yield Record(sample_id, b"", MASK, 4, 4, False, ["Old?"], ["Old."], category="pier")


class Readable:
    name, counts = "readable", {"test": 1}

    def read(self, split):
        picture = io.BytesIO()
        Image.new("RGB", (4, 4)).save(picture, "PNG")
        yield Record("a", picture.getvalue(), MASK, 4, 4, False, ["Old?"], ["Old."], category="pier")


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
    return read_review(ledger, path).verdicts


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


class Twins:
    """Train and validation, each with a sample "1" of its own, as COCO numbers them."""

    name, counts = "twins", {"train": 1, "validation": 1}

    def read(self, split):
        yield Record("1", b"", MASK, 4, 4, False, [f"Old in {split}?"], ["Old."], category="pier")


@pytest.fixture
def twins(tmp_path):
    kept = Ledger(tmp_path / "twins" / "ledger.sqlite")
    for split in Twins.counts:
        behind = [{"stage": "judge", "model": f"model of {split}", "prompt": "1-x"}]
        kept.finish(split, Generated("1", "done", [f"Q0 of {split}?", f"Q1 of {split}?"], ["A."], provenance=behind))
    return kept


def test_samples_of_two_splits_with_one_id_keep_their_own_questions_and_reviews(twins):
    path = twins.path.parent / "out.jsonl"
    assert write_review(twins, path) == 4
    first, _, third, fourth = (json.loads(text) | {"reviewer": "ann"} for text in path.read_text().splitlines())
    take(
        twins,
        first | {"verdict": "edit", "text": "New?"},
        third | {"verdict": "reject"},
        fourth | {"verdict": "reject"},
    )
    regenerated = Regenerated(Twins(), twins)
    assert [record.questions for record in regenerated.read("train")] == [["New?", "Q1 of train?"]]
    assert regenerated.counts == {"train": 1}
    assert list(regenerated.read("validation")) == []
    assert regenerated.left_out == LeftOut(rejected=["validation/1"], disputed=[], questions=[])
    assert {name: rate["reviewed"] for name, rate in acceptance(twins).items()} == {
        "judge model of train 1-x": 1,
        "judge model of validation 1-x": 2,
    }


def test_a_line_without_its_split_is_refused_where_two_have_the_sample(twins):
    with pytest.raises(DataFormatError, match="line 1: '1' is in several splits \\(train, validation\\)"):
        take(twins, line("1"))


def test_a_verdict_stays_with_its_text_when_the_run_has_other_questions(ledger):
    take(ledger, line("a", 0, "edit", text="New?"), line("a", 1, "reject"))
    ledger.finish("test", Generated("a", "done", ["Q1?", "Q2?", "Q0?"], ["A."]))
    assert texts(ledger)["a"] == ["Q2?", "New?"]
    ledger.finish("test", Generated("a", "done", ["Q3?", "Q4?"], ["A."]))
    assert texts(ledger)["a"] == ["Q3?", "Q4?"]


def test_a_verdict_on_a_replaced_text_is_kept_and_counted(ledger):
    path = ledger.path.parent / "review.jsonl"
    write_review(ledger, path)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    ledger.finish("test", Generated("a", "done", ["Q9?", "Q1?"], ["A."]))
    path.write_text("".join(json.dumps(entry | {"verdict": "reject"}) + "\n" for entry in lines[:2]))
    assert read_review(ledger, path) == ({"reject": 2}, 1)
    assert texts(ledger)["a"] == ["Q9?"]
    ledger.finish("test", Generated("a", "done", ["Q0?", "Q9?"], ["A."]))
    assert texts(ledger)["a"] == ["Q9?"]


def test_jsonl_is_read_back_as_it_was_exported(ledger):
    take(ledger, line("a", 0, "edit", text="New\u2028?"), line("b", 0, "reject"), line("b", 1, "reject"))
    folder = ledger.path.parent
    arguments = ["questions", "export", str(folder), "--format", "jsonl", "--out", str(folder / "out.jsonl")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert list(read_results(folder / "out.jsonl")) == settled_results(ledger)[0]
    (folder / "out.jsonl").write_text('{"sample_id": "a"}\n')
    with pytest.raises(DataFormatError, match="line 1: not a result of a run"):
        list(read_results(folder / "out.jsonl"))


@pytest.mark.parametrize("form", ["parquet", "release", "coco", "webdataset"])
def test_every_export_says_where_each_question_comes_from(ledger, tmp_path, form):
    behind = [
        {"stage": "propose", "model": "m", "prompt": "1-x", "key": "k1"},
        {"stage": "judge", "model": "j", "prompt": "1-y", "key": "k2"},
    ]
    origins = [{"question": f"Q{n}?", "key": "k1", "judge": {"key": "k2", "reason": f"R{n}"}} for n in range(3)]
    result = Generated("a", "done", ["Q0?", "Q1?", "Q2?"], ["A."], provenance=behind, origins=origins)
    ledger.finish("test", result)
    take(ledger, line("a", 0, "reject"), line("a", 1, "edit", text="New?"))
    export(Regenerated(Readable(), ledger), form, tmp_path / form)
    ((_, record),) = read_all(open_source(tmp_path / form))
    assert record.questions == ["New?", "Q2?"]
    generated = json.loads(record.extra)["generated"]
    assert generated == {
        "recipe": "main",
        "language": "English/en",
        "target": None,
        "answers": [],
        "questions": [
            {"question": "Q1?", "edited": "New?", "key": "k1", "judge": {"key": "k2", "reason": "R1"}},
            {"question": "Q2?", "key": "k1", "judge": {"key": "k2", "reason": "R2"}},
        ],
        "calls": behind,
    }
    assert acceptance(ledger)["propose m 1-x"]["reviewed"] == 2


def test_questions_are_not_exported_with_another_picture_than_they_are_about(ledger):
    ledger.finish(
        "test",
        Generated("a", "done", ["Q0?"], ["A."], pixels=digest_pixels(Record("a", b"other", MASK, 4, 4, False, []))),
    )
    with pytest.raises(EarthReasonError, match="test a: .* another image or mask"):
        texts(ledger)


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
    assert "1 sample left out because every question was rejected: b" in done.output


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


def test_a_line_separator_inside_a_reviewed_text_is_no_end_of_the_line(ledger):
    entry = line(verdict="edit", text="Where\u2028to\u0085rest?")
    path = ledger.path.parent / "review.jsonl"
    path.write_text(json.dumps(entry, ensure_ascii=False) + "\r\n", encoding="utf-8")
    assert read_review(ledger, path).verdicts == {"edit": 1}
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
