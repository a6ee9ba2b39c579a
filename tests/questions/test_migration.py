"""Ledgers of the first schema, written by hand as the first version did, open without loss."""

import hashlib
import json
import sqlite3

import pytest
from typer.testing import CliRunner

from earthreason.cli.main import app
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.questions.ledger import KeptReview, Ledger
from earthreason.questions.pipeline import hints_of
from earthreason.questions.prompts import load_prompts
from earthreason.questions.results import settled_results
from earthreason.questions.stages import propose_request
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
        KeptReview("test", "a", "Q0?", "accept", "", "", "ann", "2026-01-02T12:00:00.000+00:00"),
        KeptReview("test", "a", "Q0?", "edit", "New?", "", "zoe", "2026-01-02T12:00:00.000+00:00"),
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


def first_key(record, config, max_tokens):
    """The key of a proposal as the first version made it: sha256 of pixels, stage, prompt, hints and the request."""
    hints = hints_of(record, config)
    request = propose_request(hints, config.stages)
    prompt = load_prompts()["absent" if hints.absent else "propose"].identity
    pixels = "".join(hashlib.sha256(content).hexdigest() for content in (record.image, record.mask))
    identity = json.loads(request.identity())
    identity[3] = {"max_tokens": max_tokens}
    return hashlib.sha256(
        f"{pixels}\npropose\n{prompt}\n{vars(hints)}\n{json.dumps(identity, sort_keys=True)}".encode()
    ).hexdigest(), prompt


@pytest.mark.parametrize(("paid", "now"), [(2000, 2000), (3000, 3000), (2000, 4000)])
def test_answers_of_an_old_ledger_are_not_paid_for_again(path, server, source, paid, now):
    config = config_of("m", limit=1, empty_share=0, parameters={"max_tokens": now})
    record = next(source.read("train"))
    key, prompt = first_key(record, config, paid)
    questions = [f"Where could number {n} of the crew rest before going on?" for n in range(10)]
    with sqlite3.connect(path) as old:
        old.execute("DELETE FROM calls")
        content = json.dumps({"questions": questions, "answers": ["It is the target, as it is made for that."] * 3})
        old.execute(
            "INSERT INTO calls VALUES (?, 'x', 'propose', 'm', ?, '', 1, 1, 0.5, 'ok', ?)", (key, prompt, content)
        )
    old.close()
    ledger = Ledger(path)
    assert generate(source, config, ledger, server).calls == 2
    assert [row["calls"] for row in ledger.summary()["stages"] if row["stage"] == "propose"] == [1]
    assert generate(source, config, ledger, server).calls == 0


def test_another_model_is_refused_in_an_old_ledger_too(path, server, source):
    with pytest.raises(EarthReasonError, match="propose was asked of m with prompt 1-x.*--recipe NAME"):
        generate(source, config_of("other", limit=1), Ledger(path), server)
    assert server.served == []
