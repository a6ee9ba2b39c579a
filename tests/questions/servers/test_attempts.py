"""Attempts: none beyond the budget, after the time limit or after the run is to end."""

import asyncio
import socket
import threading
import time

import pytest

from earthreason.questions.ledger import Ledger
from earthreason.questions.pipeline import GenerationRun
from earthreason.questions.servers.client import ServerError, UnusableAnswerError
from tests.questions.calls import IN, OUT, ask, completion, error, fails
from tests.questions.runs import client_of, config_of, generate


def test_attempts_that_time_out_stop_at_the_budget(server, source, tmp_path):
    server.delay = 5.0
    ledger = Ledger(tmp_path / "ledger.sqlite")
    outcome = generate(source, config_of(limit=1, empty_share=0, max_usd=0.1), ledger, server, timeout=0.3, attempts=12)
    assert "--max-usd" in outcome.stopped
    assert 0 < ledger.perhaps_paid() <= 0.1
    assert 2 <= len(server.bodies) < 10  # the longest answer alone, 1,000 tokens, costs $0.01


def test_nothing_is_sent_after_the_run_is_to_end(server, source, tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")

    async def go():
        async with client_of(server, concurrency=8, requests_a_minute=60) as client:
            run = GenerationRun(config_of(limit=20, empty_share=0), ledger, client)
            task = asyncio.ensure_future(run.generate(source))
            while not server.bodies:
                await asyncio.sleep(0.02)
            run.stop("interrupted")
            await task

    began = time.monotonic()
    asyncio.run(go())
    assert len(server.bodies) == 1
    assert time.monotonic() - began < 20  # eight requests, one a second, were waiting
    assert ledger.perhaps_paid() == 0


def test_the_time_limit_is_that_of_the_whole_answer(server):
    listener = socket.create_server(("127.0.0.1", 0))

    def trickle():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    def drip(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b" ")
                time.sleep(0.2)
        except OSError:
            pass

    threading.Thread(target=trickle, daemon=True).start()
    server.server_address = listener.getsockname()
    began = time.monotonic()
    with pytest.raises((UnusableAnswerError, ServerError), match="failed 2 times"):
        ask(server, timeout=1.0, attempts=2)
    assert time.monotonic() - began < 8  # two attempts of a second and the pause of the `openai` client
    listener.close()


@pytest.mark.parametrize(
    ("status", "header"), [(500, "5000"), (500, "1e400"), (429, "9" * 400), (503, "soon"), (409, "86400")]
)
def test_a_wait_that_is_too_long_or_unreadable_does_not_end_the_attempts(server, status, header):
    refusal = (status, error("busy"), [("Retry-After", header)])
    assert ask(server, refusal, (200, completion()))[0].questions == ["Where?"]


def test_an_error_beside_an_answer_with_usage_counts_as_perhaps_paid(server):
    spending_before = completion() | {"error": {"message": "upstream", "code": 502}}
    _, usage = ask(server, (200, spending_before), (200, completion()))
    most = usage.usd - (10 * IN + 5 * OUT)
    assert most > 0
    assert usage.output_tokens == 5 + 100  # the limit of the request


def test_an_error_that_says_nothing_beside_an_answer_is_none(server):
    answer, usage = ask(server, (200, completion() | {"error": {"code": 0, "message": ""}}))
    assert (answer.questions, usage.input_tokens) == (["Where?"], 10)
    assert len(server.bodies) == 1


def test_half_a_surrogate_pair_concerns_one_answer_and_can_be_kept(server):
    answer, _ = ask(server, (200, completion('{"questions": ["Where \ud83d?"]}')))
    assert answer.questions == ["Where \ufffd?"]
    fails(server, UnusableAnswerError, *[(200, completion("\ud83d no JSON"))] * 2)
