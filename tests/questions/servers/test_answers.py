"""What an answer may look like and what it costs: bodies that servers send, over HTTP."""

import asyncio
import json

import pytest

from earthreason.questions.servers.client import UnusableAnswerError
from earthreason.questions.servers.pricing import Spending
from earthreason.questions.types import Usage
from tests.questions.calls import ANSWER, IN, OUT, ask, completion, error, fails, picture, request_of
from tests.questions.runs import client_of


@pytest.mark.parametrize(
    "content",
    [
        ANSWER,
        "\ufeff" + ANSWER,
        f"```json\n{ANSWER}\n```",
        f"Sure! Here it is:\n\n{ANSWER}\n\nLet me know if {{you}} need more.",
        f'<think>Perhaps {{"questions": []}}?</think>\n{ANSWER}',
        f"<thinking>hm</thinking>{ANSWER}",
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": ANSWER}],
        [{"type": "text", "text": ANSWER[:9]}, {"type": "text", "text": ANSWER[9:]}],
        {"questions": ["Where?"]},
        json.dumps(ANSWER),
        f"```json\n{ANSWER}\n```\nand a test:\n```python\nprint(1)\n```",
    ],
)
def test_an_answer_is_read_from_what_surrounds_it(server, content):
    answer, usage = ask(server, (200, completion(content)))
    assert answer.questions == ["Where?"]
    assert usage == Usage(10, 5, pytest.approx(10 * IN + 5 * OUT))


def test_a_fence_within_the_texts_of_an_answer_is_part_of_them(server):
    fenced = 'Here:\n```json\n{"questions": ["Where is ```this``` kept?"]}\n```'
    assert ask(server, (200, completion(fenced)))[0].questions == ["Where is ```this``` kept?"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_an_answer_that_a_server_took_for_thoughts_is_read(server, name):
    message = {"role": "assistant", "content": None, name: ANSWER}
    assert ask(server, (200, completion(message=message)))[0].questions == ["Where?"]


def test_prose_beside_a_tool_call_is_not_the_answer(server):
    call = {"id": "c", "type": "function", "function": {"name": "rewriting", "arguments": ANSWER}}
    message = {"role": "assistant", "content": "I call the function.", "tool_calls": [call]}
    assert ask(server, (200, completion(message=message)))[0].questions == ["Where?"]


def test_the_arguments_of_a_tool_call_are_an_answer(server):
    call = {"id": "c", "type": "function", "function": {"name": "rewriting", "arguments": ANSWER}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert ask(server, (200, completion(message=message, finish_reason="tool_calls")))[0].questions == ["Where?"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (completion(message=None), "the answer is empty"),
        (completion(None), "the answer is empty"),
        (completion(3), "the answer is empty"),
        (completion("<think>so many"), "ends within its thoughts"),
        (completion("[1, 2"), "does not have the requested form"),
        (completion('{"questions": 3}'), "questions: input should be a valid array"),
        (completion("{" * 5000), "does not have the requested form"),
        (completion(finish_reason="content_filter"), "content filter"),
        (completion(message={"refusal": "I\nwould rather not"}), "refused: I would rather not"),
        ({**completion(), "choices": []}, "no choices"),
        ({**completion(), "choices": [None]}, "no choices"),
    ],
)
def test_an_unreadable_answer_is_corrected_once_and_then_concerns_its_sample(server, reply, reason):
    answer, usage = ask(server, (200, reply))
    assert (answer.questions[0][:4], usage.input_tokens) == ("Tell", 1010)  # the second answer is the server's own
    assert "no valid answer" in server.bodies[-1]["messages"][-1]["content"]
    failure = fails(server, UnusableAnswerError, (200, reply), (200, reply))
    failure.match(reason)
    assert failure.value.lasting
    assert failure.value.usage == Usage(20, 10, pytest.approx(20 * IN + 10 * OUT))


def test_an_answer_that_was_cut_off_gets_a_larger_limit_once(server):
    cut = completion('{"questions": ["Wh', finish_reason="length")
    answer, _ = ask(server, (200, cut), (200, completion()))
    assert answer.questions == ["Where?"]
    assert [body["max_tokens"] for body in server.bodies] == [100, 200]
    assert [len(body["messages"]) for body in server.bodies] == [1, 1]
    fails(server, UnusableAnswerError, (200, cut), (200, cut)).match("cut off at the token limit")
    too_large = error("max_tokens is too large: 200. This model supports at most 128 completion tokens")
    fails(server, UnusableAnswerError, (200, cut), (400, too_large)).match("cut off .* too large")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        3,
        [],
        {"prompt_tokens": 10},
        {"prompt_tokens": -10, "completion_tokens": 5},
        {"prompt_tokens": 10, "completion_tokens": "5"},
        {"prompt_tokens": 10, "completion_tokens": True},
        {"prompt_tokens": 1e30, "completion_tokens": 5},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    ],
)
def test_usage_that_is_missing_or_impossible_costs_the_most_it_may(server, usage):
    # "Ask" is 1 token by the rule of 4 characters a token, and the limit of the answer is 100.
    assert ask(server, (200, {**completion(), "usage": usage}))[1] == Usage(1, 100, pytest.approx(1 * IN + 100 * OUT))


def test_the_pictures_count_in_the_most_it_may_cost(server):
    reply = (200, completion(usage=False))
    assert ask(server, reply, urls=[picture()])[1].input_tokens == 1 + 85 + 170  # one tile


@pytest.mark.parametrize(
    ("usage", "tokens", "usd"),
    [
        # Half of the input was cached, at half the price: gpt-4o, OpenAI's form.
        (
            {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 50}},
            (100, 10),
            50 * IN + 50 * IN / 2 + 10 * OUT,
        ),
        # Reasoning tokens within the completion tokens (OpenAI) and beside them (xAI); the total tells.
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 30,
                "total_tokens": 130,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            (100, 30),
            100 * IN + 30 * OUT,
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 30,
                "total_tokens": 150,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            (100, 50),
            100 * IN + 50 * OUT,
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 10,
                "prompt_tokens_details": None,
                "completion_tokens_details": None,
            },
            (100, 10),
            100 * IN + 10 * OUT,
        ),
    ],
)
def test_cached_and_reasoning_tokens_have_their_prices(server, usage, tokens, usd):
    assert ask(server, (200, {**completion(), "usage": usage}))[1] == Usage(*tokens, pytest.approx(usd))


@pytest.mark.parametrize("lost", ["silence", "cut", (200, b'{"id": "x", "choi'), (504, b"upstream timed out")])
def test_a_request_whose_answer_was_lost_counts_as_perhaps_paid(server, lost):
    _, usage = ask(server, lost, (200, completion()), timeout=0.7)
    assert usage == Usage(10 + 1, 5 + 100, pytest.approx(11 * IN + 105 * OUT))
    failure = fails(server, UnusableAnswerError, *[lost] * 3, timeout=0.7)
    assert failure.value.usage == Usage(3, 300, pytest.approx(3 * IN + 300 * OUT))
    assert not failure.value.lasting


@pytest.mark.parametrize("refusal", [(429, error("slow down"), [("Retry-After", "0.01")]), (500, error("no"))])
def test_an_error_costs_nothing(server, refusal):
    assert ask(server, refusal, (200, completion()))[1] == Usage(10, 5, pytest.approx(10 * IN + 5 * OUT))


def test_an_interrupted_request_counts_as_perhaps_paid(server):
    spending = Spending()

    async def go():
        async with client_of(server) as client:
            asking = asyncio.create_task(client.ask(request_of(), [], "key", spending=spending))
            while not server.bodies:
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    server.script = ["silence"]
    asyncio.run(go())
    assert spending.usage == Usage(1, 100, pytest.approx(1 * IN + 100 * OUT))
