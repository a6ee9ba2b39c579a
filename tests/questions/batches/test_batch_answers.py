"""What a provider of batches may answer instead of what OpenAI's would: pages, nothing, torn files, lost answers."""

import json

import pytest

from earthreason.errors import EarthReasonError
from earthreason.questions.batches import submission as submission_module
from earthreason.questions.quarantine import set_aside_quarantined
from tests.questions.batches.test_batch_faults import IN, OUT, last_batch, lines_of, write_lines
from tests.questions.calls import PAGE
from tests.questions.fake_server import Handler
from tests.questions.runs import advance_once, config_of


def answer_instead(monkeypatch, method, path, content):
    """Let the fake server answer so to requests whose path contains this."""
    usual = getattr(Handler, method)

    def answer(handler):
        if path not in handler.path:
            return usual(handler)
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        return handler.reply(200, content)

    monkeypatch.setattr(Handler, method, answer)


@pytest.mark.parametrize("content", [PAGE, b"null", b"not JSON", b"{}", b"[]"])
@pytest.mark.parametrize(
    ("method", "path", "what"),
    [("do_POST", "/files", "file of a batch"), ("do_POST", "/batches", "new batch"), ("do_GET", "/batches/", "batch ")],
)
def test_an_answer_without_an_id_ends_the_call_and_the_next_goes_on(
    server, source, ledger, monkeypatch, content, method, path, what
):
    monkeypatch.setattr(submission_module, "_PAUSE", 0.0)
    config = config_of(limit=1)
    if method == "do_GET":
        advance_once(server, source, config, ledger)
    with monkeypatch.context() as wrong:
        answer_instead(wrong, method, path, content)
        with pytest.raises(EarthReasonError, match=f"the batch failed: .*{what}.*; run again"):
            advance_once(server, source, config, ledger)
    steps = [advance_once(server, source, config, ledger) for _ in range(2)]
    assert sum(step.collected for step in steps) >= 1
    assert ledger.perhaps_paid() == 0


@pytest.mark.parametrize(
    "errors",
    [
        ["it went wrong"],
        "it went wrong",
        {"data": "it went wrong"},
        {"data": [{"message": "it went wrong"}]},
        [None],
        3,
    ],
)
def test_errors_of_any_form_are_told_and_counted(server, source, ledger, errors):
    server.batch_script = [{"status": "failed", "errors": errors, "output_file_id": None}] * 3
    for _ in range(3):
        advance_once(server, source, config_of(limit=1), ledger)
    with pytest.raises(EarthReasonError, match="3 batches failed in a row"):
        advance_once(server, source, config_of(limit=1), ledger)


def test_a_file_that_breaks_off_is_fetched_again(server, source, ledger, monkeypatch):
    config, usual, times = config_of(limit=2), Handler.do_GET, []

    def tear(handler):
        if "/content" not in handler.path or len(times) == 2:
            return usual(handler)
        times.append(handler.path)
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"custom_id"')
        handler.close_connection = True
        return None

    advance_once(server, source, config, ledger)
    monkeypatch.setattr(Handler, "do_GET", tear)
    assert advance_once(server, source, config, ledger).collected == 2
    assert len(times) == 2


def test_a_file_that_always_breaks_off_ends_the_call_in_a_line(server, source, ledger, monkeypatch):
    def garble(handler):
        if "/content" not in handler.path:
            return usual(handler)
        return handler.reply(200, b"no gzip", [("Content-Encoding", "gzip")])

    usual = Handler.do_GET
    advance_once(server, source, config_of(limit=1), ledger)
    monkeypatch.setattr(Handler, "do_GET", garble)
    with pytest.raises(EarthReasonError, match="the batch failed: file .* breaks off"):
        advance_once(server, source, config_of(limit=1), ledger)


def test_lost_answers_count_as_perhaps_paid_and_end_after_three_batches(server, source, ledger):
    config, most = config_of(limit=2), 0.0
    for number in range(3):
        advance_once(server, source, config, ledger)
        ((_, requests),) = ledger.open_batches().items()
        most += sum(about["max_cost"] for about in requests.values())
        server.files[last_batch(server)["output_file_id"]] = PAGE if number else b""
    with pytest.raises(EarthReasonError, match="3 batches failed in a row, the last one because it has no answers"):
        advance_once(server, source, config, ledger)
    assert len(server.batches) == 3
    assert ledger.perhaps_paid() == pytest.approx(most)
    step = advance_once(server, source, config, ledger, retry=True)
    assert step.outcome.quarantined == 2


def test_every_paid_answer_is_counted_however_often_a_request_is_set_aside(server, source, ledger):
    server.wrap = lambda reply: reply | {"choices": [{"message": {"content": "no JSON"}, "finish_reason": "stop"}]}
    config = config_of(limit=1)
    for _ in range(2):
        for _ in range(3):
            advance_once(server, source, config, ledger)
        set_aside_quarantined(ledger)
    assert len(server.batches) == 4
    assert ledger.spent() == pytest.approx(4 * (1000 * IN + 200 * OUT))


def test_an_answer_that_is_delivered_twice_counts_once(server, source, ledger):
    config = config_of(limit=1)
    advance_once(server, source, config, ledger)
    (line,) = lines_of(server, last_batch(server))
    line["response"]["body"]["choices"][0]["message"]["content"] = "no JSON"
    write_lines(server, last_batch(server), [line, line])
    step = advance_once(server, source, config, ledger)
    assert (step.outcome.quarantined, step.submitted) == (0, 1)
    assert ledger.spent() == pytest.approx(1000 * IN + 200 * OUT)


def test_what_one_batch_told_is_kept_when_the_next_cannot_be_collected(server, source, ledger, monkeypatch):
    monkeypatch.setattr(submission_module, "MAX_REQUESTS", 1)
    config = config_of(limit=2, parameters={"max_tokens": 300})
    advance_once(server, source, config, ledger)
    first, second = server.batches.values()
    lines = lines_of(server, first)
    lines[0]["response"]["body"]["choices"][0]["finish_reason"] = "length"
    server.files["cut"] = json.dumps(lines[0]).encode()
    first["output_file_id"] = "cut"
    with monkeypatch.context() as wrong:
        answer_instead(wrong, "do_GET", f"/batches/{second['id']}", PAGE)
        with pytest.raises(EarthReasonError, match="is not readable"):
            advance_once(server, source, config, ledger)
    second["status"] = "in_progress"
    advance_once(server, source, config, ledger)
    body = json.loads(server.files["file-in"].splitlines()[0])["body"]
    assert body["max_tokens"] == 600
