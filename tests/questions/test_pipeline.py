"""Generation against a server that misbehaves: every image ends with one result, nothing is paid twice."""

import asyncio
import json
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from earthreason import load_dataset
from earthreason.cli.main import app
from earthreason.errors import EarthReasonError
from earthreason.questions.ledger import Ledger
from earthreason.questions.pipeline import GenerationRun, RunConfig
from earthreason.questions.prompting.prompts import load_prompts
from earthreason.questions.servers.client import ClientConfig, ModelClient
from earthreason.questions.servers.pricing import load_prices
from earthreason.questions.stages import StageConfig
from tests.questions.runs import advance_once, config_of, generate

ROOT = Path(__file__).resolve().parents[2]


def test_every_image_gets_six_questions_and_three_answers(server, source, tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    outcome = generate(source, config_of(limit=12, empty_share=0.3), ledger, server)
    assert (outcome.done, outcome.quarantined, outcome.calls) == (12, 0, 36)
    for _, result in ledger.results():
        assert len(result.questions) == 6
        assert len(result.answers) == (0 if result.concept else 3)
        assert [call["stage"] for call in result.provenance] == ["propose", "rewrite", "judge"]
        assert all(call["prompt"].startswith("2-") and call["input_tokens"] == 1000 for call in result.provenance)
    assert ledger.spent() == pytest.approx(36 * (1000 * 2.5 + 200 * 10) / 1e6)


def test_faults_are_retried_and_a_second_run_asks_nothing(server, source, tmp_path):
    server.faults = 0.3
    ledger = Ledger(tmp_path / "ledger.sqlite")
    outcome = generate(source, config_of(limit=30), ledger, server, concurrency=16)
    assert (outcome.done, outcome.quarantined) == (30, 0)
    before = len(server.served)
    again = generate(source, config_of(limit=30), ledger, server)
    assert (again.done, again.calls) == (30, 0)
    assert len(server.served) == before


def test_output_that_stays_malformed_is_quarantined_with_its_reason_and_its_price(server, source, tmp_path):
    server.script = ["always junk"] * 2
    ledger = Ledger(tmp_path / "ledger.sqlite")
    outcome = generate(source, config_of(limit=1), ledger, server)
    assert outcome.quarantined == 1
    ((_, result),) = ledger.results()
    assert "does not have the requested form" in result.reason
    assert ledger.spent() == pytest.approx(2 * (1000 * 2.5 + 200 * 10) / 1e6)


@pytest.mark.parametrize(("fault", "words"), [("401", "OPENAI_API_KEY"), ("404", "--base-url")])
def test_a_server_that_refuses_us_stops_the_run_with_a_remedy(server, source, tmp_path, fault, words):
    server.script = [fault] * 50
    with pytest.raises(EarthReasonError, match=words):
        generate(source, config_of(limit=3), Ledger(tmp_path / "ledger.sqlite"), server)


def test_a_server_that_stays_away_is_an_error_and_what_was_answered_is_kept(source, tmp_path):
    client = ModelClient(ClientConfig(base_url="http://127.0.0.1:9/v1", api_key="x", attempts=2), load_prices())

    async def go():
        return await GenerationRun(config_of(limit=2), Ledger(tmp_path / "l.sqlite"), client).generate(source)

    with pytest.raises(EarthReasonError, match="failed 2 times.*run again"):
        asyncio.run(go())


def test_changing_a_prompt_asks_again_only_what_depends_on_it(server, source, tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    generate(source, config_of(limit=5, empty_share=0), ledger, server)
    own = tmp_path / "prompts"
    own.mkdir()
    judge = (ROOT / "earthreason" / "questions" / "prompting" / "templates" / "judge.md").read_text()
    (own / "judge.md").write_text(judge.replace("version: 2", "version: 3"))
    stages = StageConfig("gpt-4o", "gpt-4o", "gpt-4o", load_prompts(own))
    other = RunConfig(stages, limit=5, empty_share=0)
    with pytest.raises(EarthReasonError, match="prompt judge was 2-[0-9a-f]{8} and is now 3-.*--recipe NAME"):
        generate(source, other, ledger, server)
    ledger.recipe = "second judge"
    outcome = generate(source, other, ledger, server)
    assert outcome.calls == 4  # one of the five has an empty mask, whose judge has another prompt
    rows = Counter()
    for row in ledger.summary()["stages"]:
        rows[row["stage"], row["prompt"][:1]] += row["calls"]
    assert (rows[("judge", "2")], rows[("judge", "3")]) == (5, 4)


def test_the_budget_stops_the_run_before_it_is_exceeded(server, source, tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    outcome = generate(source, config_of(max_usd=0.1), ledger, server)
    assert "--max-usd" in outcome.stopped
    assert 0.02 < ledger.spent() <= 0.1
    more = generate(source, config_of(max_usd=0.2), ledger, server)
    assert more.done > outcome.done
    assert ledger.spent() <= 0.2


def test_a_budget_is_refused_where_a_model_has_no_price(server, source, tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for start in (generate, lambda *a: advance_once(a[3], a[0], a[1], a[2])):
        with pytest.raises(EarthReasonError, match="no price is known for local.*--prices"):
            start(source, config_of("local", max_usd=1.0, limit=1), ledger, server)
    assert server.served == []


def test_waiting_for_a_dead_server_is_told_once_with_its_address(source, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)  # a server of one's own needs none
    heard, handler = [], logging.Handler()
    handler.emit = heard.append
    monkeypatch.setattr(logging.getLogger("earthreason.questions"), "handlers", [handler])
    address = "http://127.0.0.1:9/v1"

    async def go():
        settings = ClientConfig(base_url=address, attempts=3)
        async with ModelClient(settings, load_prices()) as client:
            await GenerationRun(config_of(limit=1), Ledger(tmp_path / "l.sqlite"), client).generate(source)

    with pytest.raises(EarthReasonError, match=f"{address}.*failed 3 times"):
        asyncio.run(go())
    warned = [record.getMessage() for record in heard if record.levelname == "WARNING"]
    assert len(warned) == 1
    assert address in warned[0]


def shell(arguments, **extra):
    environment = {**os.environ, "OPENAI_API_KEY": "x", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "earthreason", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **extra,
    )


def test_a_run_killed_ten_times_pays_nothing_twice(tmp_path):
    load_dataset("earthreason", "sample")  # so that the killed processes do not all begin by making it
    program = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/questions/fake_server.py"), "0.1", "0.02"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(program.stdout.readline())
        run = tmp_path / "run"
        arguments = [
            "questions",
            "generate",
            "sample",
            "--out",
            str(run),
            "--limit",
            "200",
            "--concurrency",
            "32",
            "--base-url",
            f"http://127.0.0.1:{port}/v1",
        ]
        chance = random.Random(5)
        snapshots = []
        for _ in range(10):
            process = shell(arguments, start_new_session=True)
            deadline = time.time() + 60
            known = len(keys_of(run))
            while (
                len(keys_of(run)) < known + chance.randint(5, 40) and process.poll() is None and time.time() < deadline
            ):
                time.sleep(0.02)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            snapshots.append((time.time(), keys_of(run)))
        assert 50 < len(snapshots[-1][1]) < 600, "the kills have to fall into the run"
        last = shell(arguments)
        _, errors = last.communicate(timeout=300)
        assert last.returncode == 0, errors
        served = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/log"))
    finally:
        program.kill()
    for moment, keys in snapshots:
        asked_again = {key.rsplit("-", 1)[0] for at, key, _ in served if at > moment + 0.5} & keys
        assert asked_again == set()
    ledger = Ledger(run / "ledger.sqlite")
    results = [result for _, result in ledger.results()]
    assert len(results) == len({result.sample_id for result in results}) == 200
    assert all(result.status == "done" for result in results)


def keys_of(run):
    if not (run / "ledger.sqlite").exists():
        return set()
    try:
        with sqlite3.connect(f"file:{run / 'ledger.sqlite'}?mode=ro", uri=True) as db:
            return {row[0] for row in db.execute("SELECT key FROM calls")}
    except sqlite3.OperationalError:
        return set()


def test_a_finished_run_is_exported_and_loads(server, source, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    run, url = tmp_path / "run", f"http://127.0.0.1:{server.server_address[1]}/v1"
    invoke = CliRunner().invoke
    result = invoke(
        app,
        [
            "questions",
            "generate",
            "sample",
            "--out",
            str(run),
            "--limit",
            "20",
            "--base-url",
            url,
            "--empty-share",
            "0.2",
        ],
    )
    assert result.exit_code == 0, result.output
    assert "done 20" in result.output
    for form in ("parquet", "release"):
        done = invoke(app, ["questions", "export", str(run), "--format", form, "--out", str(tmp_path / form)])
        assert done.exit_code == 0, done.output
    rows = load_dataset("earthreason", data_dir=tmp_path / "release", split="train")
    assert len(rows) == 20
    assert all(len(row["questions"]) == 6 for row in rows)
    assert all((not row["answers"]) == row["is_empty"] for row in rows)
    assert json.loads(rows[0]["extra"])["generated"]["calls"][0]["stage"] == "propose"
    assert invoke(app, ["questions", "validate", str(tmp_path / "parquet")]).exit_code == 0
    assert (
        invoke(
            app, ["questions", "export", str(run), "--format", "jsonl", "--out", str(tmp_path / "a.jsonl")]
        ).exit_code
        == 0
    )
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 20


def test_commands_explain_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for arguments, words in (
        (["questions", "status", str(tmp_path)], "not a run directory"),
        (["questions", "generate", "sample", "--out", str(tmp_path / "run")], "OPENAI_API_KEY"),
        (["questions", "validate", "sample", "--fail-on", "langage"], "did you mean 'language'"),
        (["questions", "review-in", str(tmp_path), str(tmp_path / "none")], "there is no file"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, EarthReasonError)
        assert words in str(result.exception)
