"""The ledger keeps exactly what was paid, once, in order, over restarts; budgets hold to the cent."""

import asyncio
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from earthreason.data.schema import Record
from earthreason.errors import EarthReasonError
from earthreason.questions import ledger as ledger_module
from earthreason.questions.batches.submission import Submission
from earthreason.questions.ledger import Call, Ledger
from earthreason.questions.pipeline import Queued
from earthreason.questions.servers.pricing import ModelPrice, Prices
from earthreason.questions.servers.request import Request
from earthreason.questions.types import Generated, Proposal, Usage


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite")


def call(key, usd=0.25, stage="propose", status="ok", content=None, prompt="1-x", tokens=(10, 3)):
    usage = Usage(*tokens, usd)
    return Call(key, f"sample {key}", stage, "m", prompt, "2026-01-01T00:00:00Z", usage, status, content or {})


def test_every_answer_costs_once(ledger):
    assert ledger.spent() == 0
    ledger.record(call("one", 0.25))
    ledger.record(call("two", 0.5))
    assert ledger.spent() == 0.75
    ledger.record(call("one", 8.0, content={"changed": True}))
    assert ledger.spent() == 0.75
    assert ledger.find("one") == call("one", 0.25)
    assert ledger.find("three") is None


def test_what_was_spent_is_known_after_a_restart(ledger):
    ledger.record(call("one", 0.25))
    ledger.record(call("two", 0.5, status="quarantined", content="refused"))
    ledger.close()
    again = Ledger(ledger.path)
    assert again.spent() == 0.75
    again.record(call("two", 0.5))
    assert again.spent() == 0.75
    again.record(call("three", 1.0))
    assert again.spent() == again.summary()["usd"] == 1.75


def test_a_request_counts_as_perhaps_paid_from_before_it_is_sent_until_it_is_settled(ledger):
    answered, lost, refused = (ledger.send(key, ("test", "a"), "judge", "m", 1.0) for key in ("one", "two", "three"))
    assert (ledger.spent(), ledger.committed()) == (0.0, 3.0)
    ledger.record(call("one", 0.25), answered)
    ledger.settle(lost, 0.5)  # one attempt of two was certainly not paid for
    ledger.settle(refused, 0.0)
    assert (ledger.spent(), ledger.perhaps_paid(), ledger.committed()) == (0.25, 0.5, 0.75)
    ledger.close()
    again = Ledger(ledger.path)
    assert again.committed() == 0.75
    assert again.summary()["perhaps_paid"] == {"requests": 1, "usd": 0.5}


def test_what_is_set_aside_is_asked_again_and_stays_paid(ledger):
    ledger.record(call("one", 0.25, status="quarantined", content="refused"))
    for times in (1, 2):
        assert ledger.set_aside(["one", "never asked"]) == 1
        assert (ledger.find("one"), ledger.times_set_aside("one")) == (None, times)
        ledger.record(call("one", 0.5))
    assert ledger.find("one") == call("one", 0.5)
    assert ledger.spent() == Ledger(ledger.path).spent() == 1.25
    assert [row["quarantined"] for row in ledger.summary()["stages"]] == [0]


def test_only_one_process_may_generate_and_a_dead_one_lets_go(ledger):
    held = "import sys; from pathlib import Path; from earthreason.questions.ledger import Ledger\n"
    held += "with Ledger(Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", held, ledger.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(EarthReasonError, match="another process generates"), ledger.locked():
        pass
    ledger.record(call("one"))  # reading and reviewing go on
    process.kill()
    process.communicate()
    with ledger.locked(), ledger.locked():
        pass


def test_a_full_disk_is_told_in_one_line(ledger):
    ledger._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(EarthReasonError, match=r"ledger\.sqlite: cannot be written \(database or disk is full\)"):
        ledger.record(call("one", content={"questions": ["x" * 100_000]}))
    ledger._db.execute("PRAGMA max_page_count = 1000000")
    ledger.record(call("one"))
    assert ledger.spent() == 0.25


def test_several_threads_may_record(ledger):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: ledger.record(call(f"k{number % 20}", 0.25)), range(40)))
    assert ledger.spent() == 20 * 0.25
    assert ledger.summary()["stages"][0]["calls"] == 20


def test_the_folder_is_made_and_a_second_process_waits_half_a_minute(tmp_path):
    ledger = Ledger(tmp_path / "new" / "run" / "ledger.sqlite")
    assert [tuple(row) for row in ledger._db.execute("PRAGMA busy_timeout")] == [(30_000,)]  # milliseconds
    Ledger(ledger.path).record(call("one"))
    assert ledger.find("one") == call("one")


def test_texts_are_readable_in_the_file(ledger):
    ledger.record(call("one", content={"questions": ["Où accoster?"]}))
    ledger.finish("test", Generated("a", "done", ["Où accoster?"]))
    with sqlite3.connect(ledger.path) as db:
        (stored,) = db.execute("SELECT calls.content || results.content FROM calls, results").fetchone()
    assert stored.count("Où accoster?") == 2


def test_times_are_in_utc_to_the_millisecond():
    text = ledger_module.now()
    assert len(text) == len("2026-01-01T00:00:00.000+00:00")
    assert text.endswith("+00:00")
    assert abs(datetime.fromisoformat(text) - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_summary_adds_up_by_stage_model_and_prompt(ledger):
    ledger.record(call("one", 0.25, tokens=(10, 3)))
    ledger.record(call("two", 0.5, tokens=(20, 4), status="quarantined", content="refused"))
    ledger.record(call("three", 1.0, prompt="2-y", tokens=(5, 1)))
    ledger.record(call("four", 2.0, stage="judge", tokens=(7, 2)))
    ledger.finish("test", Generated("a", "done"))
    ledger.finish("test", Generated("b", "quarantined"))
    summary = ledger.summary()
    found = {
        (row["stage"], row["model"], row["prompt"]): (
            row["calls"],
            row["input_tokens"],
            row["output_tokens"],
            row["usd"],
            row["quarantined"],
        )
        for row in summary["stages"]
    }
    assert found == {
        ("propose", "m", "1-x"): (2, 30, 7, 0.75, 1),
        ("propose", "m", "2-y"): (1, 5, 1, 1.0, 0),
        ("judge", "m", "1-x"): (1, 7, 2, 2.0, 0),
    }
    assert summary["samples"] == {"done": 1, "quarantined": 1}


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1001])
def test_results_are_read_by_pages_without_loss_or_repetition(ledger, count):
    rows = [
        ("main", "test", f"s{number:04}", "done", f'{{"sample_id": "s{number:04}", "status": "done"}}')
        for number in reversed(range(count))
    ]
    with ledger._db:
        ledger._db.executemany("INSERT INTO results VALUES (?, ?, ?, ?, ?)", rows)
    assert [result.sample_id for _, result in ledger.results()] == [f"s{number:04}" for number in range(count)]


def test_a_later_result_replaces_the_earlier_one(ledger):
    ledger.finish("test", Generated("a", "quarantined", reason="too few"))
    ledger.finish("test", Generated("a", "done", ["Q?"]))
    assert list(ledger.results()) == [("test", Generated("a", "done", ["Q?"]))]


def test_results_of_other_splits_and_recipes_stand_beside_each_other(ledger):
    second = Ledger(ledger.path, recipe="second")
    ledger.finish("train", Generated("1", "done", ["A?"]))
    ledger.finish("validation", Generated("1", "done", ["B?"]))
    second.finish("train", Generated("1", "done", ["C?"]))
    assert [(split, *result.questions) for split, result in ledger.results()] == [("train", "A?"), ("validation", "B?")]
    assert [result.questions for _, result in second.results()] == [["C?"]]
    assert ledger.recipes() == second.recipes() == ["main", "second"]


def test_results_come_in_the_order_of_their_ids_whatever_they_begin_with(ledger):
    for sample_id in ("a", "Z", "É", "0", " "):
        ledger.finish("test", Generated(sample_id, "done"))
    assert [result.sample_id for _, result in ledger.results()] == [" ", "0", "Z", "a", "É"]


def test_settings_are_replaced_and_unknown_ones_are_none(ledger):
    ledger.remember("source", "one")
    ledger.remember("source", "two")
    assert (ledger.setting("source"), ledger.setting("other")) == ("two", None)


def test_only_batches_that_were_not_collected_are_open_the_oldest_first(ledger, monkeypatch):
    times = iter(["2026-01-01T00:00:02Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:03Z", "2026-01-01T00:00:04Z"])
    monkeypatch.setattr(ledger_module, "now", lambda: next(times))
    for name in ("later", "earlier", "done"):
        ledger.record_batch(name, "submitted", {name: {"max_usd": 1.0}})
    ledger.record_batch("done", "collected", {"done": {}})
    assert list(ledger.open_batches().items()) == [
        ("earlier", {"earlier": {"max_usd": 1.0}}),
        ("later", {"later": {"max_usd": 1.0}}),
    ]


def test_another_file_is_refused_by_name(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("not a database, and long enough to be read as a broken header" * 20)
    with pytest.raises(EarthReasonError, match=r"ledger\.sqlite: damaged, or not a ledger"):
        Ledger(tmp_path / "ledger.sqlite")


# A request of 4 characters and at most 1 token of answer: 1 + 1 tokens at US$ 0.5 each, half of it in a batch.
PRICES = Prices(as_of="x", models={"m": ModelPrice(input=0.5e6, output=0.5e6)})


def waiting(count):
    request = Request("text", (), Proposal, "m", {"max_tokens": 1})
    record = Record("a", b"", b"", 4, 4, False, ["?"])
    return {f"k{number}": Queued(record, "propose", "1", request) for number in range(count)}


@pytest.mark.parametrize(
    ("max_usd", "spent", "sent"),
    [(None, 9.0, 3), (1.5, 0.0, 3), (1.49, 0.0, 2), (1.5, 0.5, 2), (1.5, 1.0, 1), (1.5, 1.01, 0), (0.0, 0.0, 0)],
)
def test_a_batch_may_reach_the_budget_and_not_exceed_it(ledger, max_usd, spent, sent):
    ledger.record(call("before", spent))

    async def add():
        with Submission(ledger, SimpleNamespace(prices=PRICES), max_usd) as submission:
            for key, queued in waiting(3).items():
                await submission.add(key, queued)
            return list(submission._described)

    assert asyncio.run(add()) == [f"k{number}" for number in range(sent)]
