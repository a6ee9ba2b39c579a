"""What a run writes, and what it is about: nothing is overwritten, nothing is exported that the source has no more."""

import json
import shutil
import sqlite3

import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.data.exports import export
from earthreason.data.reader import open_source, read_all
from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError
from earthreason.questions.ledger import Ledger
from earthreason.questions.results import write_results
from earthreason.questions.reviews import read_review, write_review
from earthreason.questions.types import Generated
from tests.questions.test_runs import Splits, record, run_command


@pytest.fixture
def sets(tmp_path):
    """Two sets of three samples with the same ids, as parquet."""
    for name, shade in (("one", 0), ("two", 50)):
        export(Splits(train=[record(str(n), shade=shade + n) for n in (1, 2, 3)]), "parquet", tmp_path / name)
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(app, ["questions", *map(str, arguments)], catch_exceptions=False)


def generate(server, sets, name, *more):
    command = run_command(server, sets / "run", *more)
    command[2] = str(sets / name)
    return invoke(*command[1:])


def test_a_run_is_about_one_source(server, sets):
    assert generate(server, sets, "one").exit_code == 0
    with pytest.raises(EarthReasonError, match=r"is about .*one, and this is .*two; choose another --out"):
        generate(server, sets, "two")
    with pytest.raises(EarthReasonError, match="is about"):
        generate(server, sets, "two", "--recipe", "other", "--temperature", "0.5")
    assert "3 samples" in invoke("export", sets / "run", "--format", "parquet", "--out", sets / "out").output


def test_a_source_that_was_moved_is_the_same(server, sets):
    assert generate(server, sets, "one").exit_code == 0
    (sets / "one").rename(sets / "moved")
    assert generate(server, sets, "moved").exit_code == 0
    assert "3 samples" in invoke("export", sets / "run", "--format", "parquet", "--out", sets / "out").output


def test_an_export_counts_what_it_wrote_and_names_what_the_source_has_lost(server, sets):
    assert generate(server, sets, "one").exit_code == 0
    shutil.rmtree(sets / "one")
    export(Splits(train=[record(str(n), shade=n) for n in (1, 3)]), "parquet", sets / "one")
    told = invoke("export", sets / "run", "--format", "parquet", "--out", sets / "out").output
    assert "2 samples" in told
    assert "1 finished sample is left out" in told
    assert len(list(read_all(open_source(sets / "out")))) == 2


def test_a_run_that_never_began_exports_nothing(tmp_path):
    Ledger(tmp_path / "run" / "ledger.sqlite")
    kept = tmp_path / "kept.jsonl"
    for form, words in (("parquet", "nothing was generated yet"), ("jsonl", "no sample is finished")):
        with pytest.raises((DataNotFoundError, EarthReasonError), match=words):
            invoke("export", tmp_path / "run", "--format", form, "--out", kept)
    assert not kept.exists()


def test_formats_are_listed_with_jsonl(tmp_path):
    Ledger(tmp_path / "run" / "ledger.sqlite")
    with pytest.raises(EarthReasonError, match="jsonl"):
        invoke("export", tmp_path / "run", "--format", "foo", "--out", tmp_path / "out")


def test_a_missing_key_leaves_no_run_behind(sets, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(EarthReasonError, match="OPENAI_API_KEY"):
        invoke("generate", sets / "one", "--out", sets / "new")
    assert not (sets / "new").exists()


@pytest.fixture
def ledger(tmp_path):
    kept = Ledger(tmp_path / "run" / "ledger.sqlite")
    kept.finish("test", Generated("a", "done", ["Q0?", "Q1?"], ["A."]))
    kept.finish("test", Generated("b", "done", ["Q2?"], [], concept="ski slope"))
    return kept


def test_files_that_people_filled_in_are_not_overwritten(ledger, tmp_path):
    path = tmp_path / "review.jsonl"
    write_review(ledger, path)
    path.write_text("filled in")
    for write in (write_review, write_results):
        for taken in (path, ledger.path):
            with pytest.raises(EarthReasonError, match="already exists; choose another name or remove it"):
                write(ledger, taken)
    assert path.read_text() == "filled in"
    assert len(list(ledger.results())) == 2


def test_jsonl_states_the_language_and_whether_anyone_looked(ledger, tmp_path):
    ledger.store_recipe({"language": "German/de", "images": False})
    write_results(ledger, tmp_path / "out.jsonl")
    first, second = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert (first["language"], second["absent_concept_was_looked_for"]) == ("German/de", False)
    assert "absent_concept_was_looked_for" not in first


def test_the_later_of_two_lines_of_different_people_is_the_later_edit(ledger, tmp_path):
    lines = [
        {"sample_id": "a", "number": 0, "verdict": "edit", "text": text, "reviewer": who}
        for who, text in (("zoe", "Z?"), ("ann", "A?"), ("mia", "M?"), ("ann", "B?"))
    ]
    path = tmp_path / "review.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    read_review(ledger, path)
    assert [review.text for review in ledger.reviews()] == ["Z?", "M?", "B?"]
    write_results(ledger, tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["questions"] == ["B?", "Q1?"]


def test_two_questions_edited_to_one_text_are_exported_once(ledger, tmp_path):
    lines = [{"sample_id": "a", "number": n, "verdict": "edit", "text": "Same?"} for n in (0, 1)]
    path = tmp_path / "review.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    read_review(ledger, path)
    write_results(ledger, tmp_path / "out.jsonl")
    row = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert (row["questions"], len(row["origins"])) == (["Same?"], 1)


@pytest.mark.parametrize(
    "line",
    [
        b'{"sample_id": "a", "number": 1, "verdict": "accept", "reviewer": "J\xe9"}',
        '{"sample_id": "a", "number": 1, "verdict": "accept"}'.encode("utf-16"),
        rb'{"sample_id": "a", "number": 1, "verdict": "edit", "text": "\ud83d"}',
        b'{"sample_id": "a", "number": Infinity, "verdict": "accept"}',
        b"[" * 100_000,
        b'{"sample_id": "a", "number": 1, "verdict": "accept", "saved": "0001-01-01T00:00:00+23:00"}',
        b'{"sample_id": "a", "number": 1, "verdict": "accept", "saved": "9999-12-31T23:59:59-23:00"}',
    ],
)
def test_a_line_that_no_database_can_keep_is_refused_and_no_line_is_kept(ledger, tmp_path, line):
    path = tmp_path / "review.jsonl"
    path.write_bytes(b'{"sample_id": "a", "number": 0, "verdict": "reject"}\n' + line + b"\n")
    with pytest.raises(DataFormatError):
        read_review(ledger, path)
    assert ledger.reviews() == []


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE calls",
        "DROP TABLE results",
        "UPDATE results SET content = '{'",
        "UPDATE results SET content = '{\"odd\": 1}'",
        "INSERT INTO recipes VALUES ('main', '', '[')",
        "INSERT INTO reviews VALUES ('test', 'a', 'Q0?', 'accept', '', '', '', 'yesterday')",
    ],
)
def test_a_damaged_ledger_is_told_in_a_line(ledger, tmp_path, damage):
    ledger.close()
    with sqlite3.connect(ledger.path) as database:
        database.execute(damage)
    with pytest.raises(DataFormatError, match=r"ledger\.sqlite: damaged, or not a ledger"):
        write_results(Ledger(ledger.path), tmp_path / "out.jsonl")


def test_a_folder_and_zeroed_pages_are_no_ledger(ledger, tmp_path):
    (tmp_path / "folder" / "ledger.sqlite").mkdir(parents=True)
    with pytest.raises(DataFormatError, match="not a ledger"):
        Ledger(tmp_path / "folder" / "ledger.sqlite")
    ledger.close()
    content = ledger.path.read_bytes()
    ledger.path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    with pytest.raises(DataFormatError, match="not a ledger"):
        list(Ledger(ledger.path).results())


def test_the_layout_of_the_release_has_no_place_for_one_id_in_two_splits(tmp_path):
    twins = Splits(train=[record("1", shade=1)], test=[record("1", shade=2)])
    with pytest.raises(EarthReasonError, match="train and test both have a sample '1'.*parquet"):
        export(twins, "release", tmp_path / "out")
    assert not (tmp_path / "out").exists()
