"""Batches that fail, expire, vanish or come late: what is done is kept, what is not is asked again, in bounds."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from earthreason.errors import EarthReasonError
from earthreason.questions.batches import submission as submission_module
from earthreason.questions.ledger import Ledger
from tests.questions.runs import advance_once, config_of

ROOT = Path(__file__).resolve().parents[3]
IN, OUT = 0.5 * 2.5e-6, 0.5 * 10e-6  # gpt-4o in a batch, US dollars a token


def lines_of(server, batch):
    return [json.loads(line) for line in server.files[batch["output_file_id"]].splitlines()]


def write_lines(server, batch, lines):
    server.files[batch["output_file_id"]] = b"\n".join(json.dumps(line).encode() for line in lines)


def last_batch(server):
    return list(server.batches.values())[-1]


def failed(code, message, line=None):
    errors = {"object": "list", "data": [{"code": code, "message": message, "line": line, "param": None}]}
    return {"status": "failed", "errors": errors, "output_file_id": None}


def test_batches_that_fail_again_and_again_stop_with_the_reason_until_told_to_go_on(server, source, ledger, caplog):
    config = config_of(limit=2)
    server.batch_script = [failed("invalid_json_line", "This line is not parseable as valid JSON.", 2)] * 5
    for _ in range(3):
        assert advance_once(server, source, config, ledger).submitted == 2
    assert "failed: This line is not parseable as valid JSON. (line 2)" in caplog.text
    for _ in range(2):
        with pytest.raises(EarthReasonError, match=r"3 batches failed in a row.*valid JSON.*--retry-batches"):
            advance_once(server, source, config, ledger)
    assert len(server.batches) == 3
    server.batch_script = []
    assert advance_once(server, source, config, ledger, retry=True).submitted == 2
    assert advance_once(server, source, config, ledger).collected == 2


def test_a_batch_that_fails_without_a_reason_is_told_too(server, source, ledger, caplog):
    server.batch_script = [{"status": "failed", "errors": None, "output_file_id": None}]
    advance_once(server, source, config_of(limit=1), ledger)
    advance_once(server, source, config_of(limit=1), ledger)
    assert "the provider gives no reason" in caplog.text


def test_a_full_queue_at_the_provider_halves_what_is_submitted_at_a_time(server, source, ledger):
    # github.com/openai/openai-python/issues/2084
    message = "Enqueued token limit reached for gpt-4o in organization org-1. Limit: 90,000 enqueued tokens."
    server.batch_script = [failed("token_limit_exceeded", message)]
    steps = [advance_once(server, source, config_of(limit=8, empty_share=0), ledger) for _ in range(3)]
    assert [step.submitted for step in steps] == [8, 4, 4]
    last_batch(server)["status"] = "in_progress"
    assert advance_once(server, source, config_of(limit=8, empty_share=0), ledger).submitted == 0


def test_an_expired_batch_keeps_what_is_done_and_the_rest_is_sent_again(server, source, ledger):
    config = config_of(limit=4)
    advance_once(server, source, config, ledger)
    batch = last_batch(server)
    done, rest = lines_of(server, batch)[:3], lines_of(server, batch)[3:]
    write_lines(server, batch, done)
    expired = {"code": "batch_expired", "message": "This request could not be executed before the completion window."}
    server.files["errors"] = json.dumps(
        {"custom_id": rest[0]["custom_id"], "response": None, "error": expired}
    ).encode()
    batch |= {"status": "expired", "error_file_id": "errors"}
    step = advance_once(server, source, config, ledger)
    assert (step.collected, step.submitted) == (3, 3 + 1)  # three rewrite, one still proposes
    assert ledger.spent() == pytest.approx(3 * (1000 * IN + 200 * OUT))


def test_a_deleted_batch_and_a_deleted_file_are_sent_again(server, source, ledger, caplog):
    config = config_of(limit=2)
    advance_once(server, source, config, ledger)
    server.batches.clear()
    assert advance_once(server, source, config, ledger).submitted == 2
    assert "is not at the provider" in caplog.text
    del server.files[last_batch(server)["output_file_id"]]
    assert advance_once(server, source, config, ledger).submitted == 2
    assert advance_once(server, source, config, ledger).collected == 2


def test_a_batch_about_which_a_proxy_says_nothing_is_looked_up_in_the_list(server, source, ledger):
    # LiteLLM 1.108.7 in front of a provider without the batch
    config = config_of(limit=2)
    advance_once(server, source, config, ledger)
    server.hides_batches = True
    (batch,) = server.batches.values()
    server.batches = {"other": {**batch, "id": "other"}}
    assert advance_once(server, source, config, ledger, attempts=1).submitted == 2


def test_torn_and_foreign_lines_do_not_hide_the_others(server, source, ledger, caplog):
    config = config_of(limit=3)
    advance_once(server, source, config, ledger)
    batch = last_batch(server)
    first, second, third = server.files[batch["output_file_id"]].splitlines()
    noise = [b"", b"null", b"[1]", b'{"custom_id": 3}', b'{"custom_id": "other"}', b"\xff\xfe", b"[" * 9999]
    server.files[batch["output_file_id"]] = b"\r\n".join([first, *noise, third, second[:200]])
    step = advance_once(server, source, config, ledger)
    assert (step.collected, step.submitted) == (2, 3)
    assert "7 unreadable or foreign lines" in caplog.text


def test_a_file_id_that_is_an_empty_text_means_no_file(server, source, ledger):
    server.batch_script = [{"output_file_id": "", "error_file_id": ""}]
    steps = [advance_once(server, source, config_of(limit=1), ledger) for _ in range(3)]
    assert [(step.submitted, step.collected) for step in steps] == [(1, 0), (1, 0), (1, 1)]


def test_a_batch_whose_creation_is_answered_late_is_found_and_paid_once(server, source, ledger, monkeypatch):
    monkeypatch.setattr(submission_module, "_PAUSE", 0.1)
    server.batch_script = [{"late": 1.5}]
    step = advance_once(server, source, config_of(limit=2), ledger, timeout=0.7)
    assert step.submitted == 2
    assert list(server.batches) == list(ledger.open_batches()) == list(step.running)
    assert len(server.batches) == 1


def test_a_batch_created_before_a_kill_is_found_behind_newer_ones(server, source, ledger, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    config = config_of(limit=2)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        confirm = Ledger.record_batch
        patched.setattr(
            Ledger, "record_batch", lambda self, name, *a: confirm(self, name, *a) if "creating" in name else die()
        )
        advance_once(server, source, config, ledger)
    (created,) = server.batches.values()
    server.batches |= {f"other-{n}": {**created, "id": f"other-{n}", "metadata": None} for n in range(5)}
    created["status"] = "in_progress"
    assert advance_once(server, source, config, ledger).submitted == 0
    assert list(ledger.open_batches()) == [created["id"]]
    created["status"] = "completed"
    step = advance_once(server, source, config, ledger)
    assert (step.collected, step.submitted) == (2, 2)
    assert created["id"] not in ledger.open_batches()


def test_a_creation_that_never_happened_is_tried_again_in_the_next_call(server, source, ledger, monkeypatch):
    monkeypatch.setattr(submission_module, "_PAUSE", 0.0)
    config = config_of(limit=2)
    monkeypatch.setattr(type(server), "no_batches", True, raising=False)
    with pytest.raises(EarthReasonError, match="the batch failed: .*; run again to continue"):
        advance_once(server, source, config, ledger)
    monkeypatch.undo()
    assert advance_once(server, source, config, ledger).submitted == 2
    assert advance_once(server, source, config, ledger).collected == 2


def test_a_parameter_that_a_batch_refuses_is_left_out_of_the_next(server, source, ledger):
    def refuse(body):
        if "temperature" in body:
            return "Unsupported parameter: 'temperature' is not supported with this model."
        if body["response_format"]["type"] == "json_schema":
            return "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."
        return None

    server.refuse = refuse
    config = config_of("gpt-5", limit=2, parameters={"temperature": 0.5, "max_tokens": 300})
    collected = [advance_once(server, source, config, ledger).collected for _ in range(5)]
    assert collected == [0, 0, 0, 2, 2]
    body = json.loads(server.files["file-in"].splitlines()[0])["body"]
    assert body["max_completion_tokens"] == 300  # known from the name of the model
    assert {"temperature", "max_tokens"}.isdisjoint(body)


def test_a_request_that_fails_in_batch_after_batch_is_quarantined_with_its_reason(server, source, ledger):
    config, keys, steps = config_of(limit=3), [], []
    for _ in range(4):
        steps.append(advance_once(server, source, config, ledger))
        lines = lines_of(server, last_batch(server))
        keys = keys or sorted(line["custom_id"] for line in lines)
        write_lines(server, last_batch(server), [broken(line, keys[0], keys[1]) for line in lines])
    reasons = sorted(result.reason for _, result in ledger.results() if result.status == "quarantined")
    assert reasons[0].startswith("propose: the model server refused (status 400): Filtered.; this is the provider's")
    assert reasons[1].startswith("propose: the model server refused (status 500): upstream")
    assert steps[-1].outcome.quarantined == 2


def broken(line, first, filtered):
    if line["custom_id"] == first:
        return {**line, "response": {"status_code": 500, "body": {"error": {"message": "upstream"}}}}
    if line["custom_id"] == filtered:
        body = {"error": {"message": "Filtered.", "code": "content_filter"}}
        return {**line, "response": {"status_code": 400, "body": body}}
    return line


def test_an_answer_that_was_cut_off_in_a_batch_gets_a_larger_limit_once(server, source, ledger):
    def cut(reply):
        return {**reply, "choices": [{**reply["choices"][0], "finish_reason": "length"}]}

    server.wrap = cut
    config = config_of(limit=1, parameters={"max_tokens": 300})
    for expected in (300, 600):
        assert advance_once(server, source, config, ledger).submitted == 1
        assert json.loads(server.files["file-in"].splitlines()[0])["body"]["max_tokens"] == expected
    assert advance_once(server, source, config, ledger).outcome.quarantined == 1
    assert ledger.spent() == pytest.approx(2 * (1000 * IN + 200 * OUT))


def test_usage_that_a_batch_does_not_report_costs_the_most_it_may(server, source, ledger):
    server.wrap = lambda reply: {**reply, "usage": {"prompt_tokens": -1, "completion_tokens": 5}}
    advance_once(server, source, config_of(limit=2), ledger)
    ((_, requests),) = ledger.open_batches().items()
    most = sum(about["max_cost"] for about in requests.values())
    advance_once(server, source, config_of(limit=2), ledger)
    assert most > 0
    assert ledger.spent() == pytest.approx(most)


def test_a_full_disk_is_told_by_its_name(server, source, ledger, monkeypatch):
    monkeypatch.setattr(submission_module.tempfile, "TemporaryFile", lambda **_: io.FileIO("/dev/full", "w"))
    with pytest.raises(OSError, match="No space left on device"):  # the command line prints it in one line
        advance_once(server, source, config_of(limit=1), ledger)
    assert server.batches == {}


SUBMIT = """
import asyncio, io, resource, sys
from pathlib import Path
import numpy as np
from PIL import Image
from earthreason.data.schema import Record
from earthreason.masks.png import encode_mask_png
from earthreason.questions.batches import submission
from earthreason.questions.batches.batch import advance
from earthreason.questions.servers.client import ClientConfig, ModelClient
from earthreason.questions.ledger import Ledger
from earthreason.questions.servers.pricing import load_prices
from tests.questions.runs import config_of

submission.MAX_BYTES = 4_000_000
random = np.random.default_rng(0)
noise = random.integers(0, 256, (640, 640, 3), np.uint8)

class Source:
    name, counts = "noise", {"train": int(sys.argv[2])}
    def read(self, split):
        for number in range(self.counts[split]):
            noise[:64, :64] = random.integers(0, 256, (64, 64, 3), np.uint8)  # no two pictures are alike
            buffer = io.BytesIO()
            Image.fromarray(noise).save(buffer, "JPEG", quality=90)
            mask = encode_mask_png(np.eye(640, dtype=bool))
            yield Record(f"s{number}", buffer.getvalue(), mask, 640, 640, False, ["?"])

async def go():
    config = ClientConfig(base_url=sys.argv[1], api_key="x")
    async with ModelClient(config, load_prices()) as client:
        step = await advance(Source(), config_of(empty_share=0), Ledger(Path(sys.argv[3])), client)
    assert step.submitted == int(sys.argv[2])

asyncio.run(go())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    program = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/questions/fake_server.py"), "0", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        address = f"http://127.0.0.1:{int(program.stdout.readline())}/v1"

        def peak(count):
            run = [sys.executable, "-c", SUBMIT, address, str(count), str(tmp_path / f"{count}.sqlite")]
            return int(subprocess.run(run, cwd=ROOT, check=True, capture_output=True, text=True).stdout) / 1024

        few, many = peak(20), peak(100)  # 12 and 60 MiB of requests
    finally:
        program.kill()
    assert many - few < 16
