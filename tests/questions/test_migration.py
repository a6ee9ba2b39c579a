"""Ledgers of the first schema, written by hand as the first version did, open without loss."""

import json
import sqlite3

import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.questions.ledger import KeptReview, Ledger
from earthreason.questions.results import settled_results
from earthreason.questions.types import Usage
from tests.questions.runs import config_of, generate

CALLS = (
    "CREATE TABLE calls (key TEXT PRIMARY KEY, sample_id TEXT NOT NULL, stage TEXT NOT NULL, model TEXT NOT NULL, "
    "prompt TEXT NOT NULL, created TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, "
    "usd REAL NOT NULL, status TEXT NOT NULL, content TEXT NOT NULL)"
)
RESULTS = (
    "CREATE TABLE results (sample_id TEXT PRIMARY KEY, split TEXT NOT NULL, status TEXT NOT NULL, "
    "content TEXT NOT NULL)"
)
REVIEWS = (
    "CREATE TABLE reviews (sample_id TEXT NOT NULL, number INTEGER NOT NULL, verdict TEXT NOT NULL, "
    "text TEXT NOT NULL, reason TEXT NOT NULL, reviewer TEXT NOT NULL, saved TEXT NOT NULL DEFAULT '', "
    "PRIMARY KEY (sample_id, number, reviewer))"
)
OTHERS = (
    "CREATE TABLE batches (id TEXT PRIMARY KEY, created TEXT NOT NULL, status TEXT NOT NULL, requests TEXT NOT NULL)",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE INDEX calls_by_sample ON calls (sample_id)",
)


def result(sample_id, *questions, date="2026-01-01T12:00:00.000+00:00"):
    call = {"stage": "propose", "model": "m", "prompt": "1-x", "date": date, "key": f"k of {sample_id}", "usd": 0.25}
    values = {"sample_id": sample_id, "status": "done", "questions": questions, "answers": ["A."], "concept": None}
    return json.dumps({**values, "reason": "", "provenance": [call]})


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run" / "ledger.sqlite"
    path.parent.mkdir()
    with sqlite3.connect(path) as old:
        for statement in (CALLS, RESULTS, REVIEWS, *OTHERS):
            old.execute(statement)
        old.execute(
            "INSERT INTO calls VALUES ('k1', 'a', 'propose', 'm', '1-x', '2026-01-01T12:00:00.000+00:00', 10, 3, 0.25, "
            "'ok', '{}')"
        )
        old.executemany(
            "INSERT INTO results VALUES (?, ?, 'done', ?)",
            [("a", "test", result("a", "Q0?", "Q1?")), ("b", "train", result("b", "Q2?"))],
        )
        old.executemany(
            "INSERT INTO reviews VALUES (?, ?, ?, ?, '', ?, ?)",
            [
                ("a", 0, "edit", "New?", "zoe", "2026-01-02T12:00:00.000+00:00"),
                ("a", 0, "accept", "", "ann", "2026-01-02T12:00:00.000+00:00"),
                ("a", 1, "reject", "", "zoe", "2025-12-31T12:00:00.000+00:00"),  # of a question that was replaced
                ("a", 7, "reject", "", "zoe", "2026-01-02T12:00:00.000+00:00"),
                ("gone", 0, "reject", "", "zoe", ""),
                ("b", 0, "accept", "", "zoe", ""),
            ],
        )
        old.execute("INSERT INTO batches VALUES ('b1', '2026-01-01', 'submitted', '{\"k2\": {}}')")
        old.execute("INSERT INTO settings VALUES ('source', '\"sample\"')")
    old.close()
    return path


def test_everything_of_an_old_ledger_is_there(path):
    ledger = Ledger(path)
    assert [(split, result.questions) for split, result in ledger.results()] == [
        ("test", ["Q0?", "Q1?"]),
        ("train", ["Q2?"]),
    ]
    found = ledger.find("k1")
    assert (found.usage, found.content, found.split, found.details) == (Usage(10, 3, 0.25), {}, "", {})
    assert ledger.spent() == ledger.committed() == 0.25
    assert list(ledger.open_batches()) == ["b1"]
    assert (ledger.setting("source"), ledger.recipes()) == ("sample", ["main"])


def test_old_reviews_go_to_the_text_they_judged_and_no_other(path):
    ledger = Ledger(path)
    assert ledger.reviews() == [
        KeptReview("test", "a", "Q0?", "edit", "New?", "", "zoe", "2026-01-02T12:00:00.000+00:00"),
        KeptReview("test", "a", "Q0?", "accept", "", "", "ann", "2026-01-02T12:00:00.000+00:00"),
        KeptReview("train", "b", "Q2?", "accept", "", "", "zoe", ""),
    ]
    assert [result.questions for _, result in settled_results(ledger)[0]] == [["New?", "Q1?"], ["Q2?"]]
    with sqlite3.connect(path) as db:
        kept = db.execute("SELECT sample_id, number, reviewer FROM reviews_of_schema_1 ORDER BY 1, 2").fetchall()
    assert kept == [("a", 1, "zoe"), ("a", 7, "zoe"), ("gone", 0, "zoe")]


def test_a_ledger_from_before_reviews_had_times_opens(path):
    with sqlite3.connect(path) as old:
        old.execute("DROP TABLE reviews")
        old.execute(REVIEWS.replace("saved TEXT NOT NULL DEFAULT '', ", ""))
        old.execute("INSERT INTO reviews VALUES ('a', 0, 'edit', 'Old edit?', '', 'zoe')")
    old.close()
    assert Ledger(path).reviews() == [KeptReview("test", "a", "Q0?", "edit", "Old edit?", "", "zoe", "")]


def test_it_is_changed_once_and_by_whoever_opens_it_first(path):
    first, second = Ledger(path), Ledger(path)
    first.finish("test", next(result for _, result in second.results()))
    assert len(list(second.results())) == len(list(Ledger(path).results())) == 2


def test_a_change_that_fails_changes_nothing(path):
    with sqlite3.connect(path) as old:
        old.execute("INSERT INTO results VALUES ('c', 'test', 'done', 'no JSON')")
    old.close()
    with pytest.raises(DataFormatError, match="Expecting value"):
        Ledger(path)
    with sqlite3.connect(path) as old:
        assert old.execute("SELECT COUNT(*) FROM reviews").fetchone() == (6,)
        assert old.execute("PRAGMA user_version").fetchone() == (0,)


def test_a_ledger_of_a_later_schema_is_refused(path):
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 3")
    later.close()
    with pytest.raises(DataFormatError, match="a newer version of earthreason wrote it"):
        Ledger(path)


def test_the_status_of_an_old_run_is_told(path):
    done = CliRunner().invoke(app, ["questions", "status", str(path.parent)])
    assert done.exit_code == 0, done.output
    assert "done 2; $0.2500 spent" in done.output


def test_a_run_of_the_first_version_is_refused_as_another_recipe_and_stays_readable(path, server, source):
    config = config_of(limit=1, empty_share=0)
    with pytest.raises(EarthReasonError, match="begun before recipes were kept.*--recipe NAME"):
        generate(source, config, Ledger(path), server)
    assert server.served == []
    assert generate(source, config, Ledger(path, "second"), server).calls == 3
    with pytest.raises(EarthReasonError, match="begun before recipes were kept"):
        generate(source, config, Ledger(path), server)
    assert [result.questions for _, result in settled_results(Ledger(path))[0]] == [["New?", "Q1?"], ["Q2?"]]


def test_calls_of_the_first_version_without_a_result_are_of_another_recipe_too(path, server, source):
    with sqlite3.connect(path) as old:
        old.execute("DELETE FROM results")
    old.close()
    with pytest.raises(EarthReasonError, match="begun before recipes were kept"):
        generate(source, config_of(limit=1), Ledger(path), server)
    assert server.served == []
