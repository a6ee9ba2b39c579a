"""Faults of servers: whether they concern one sample or all, and how long to wait. Bodies are recorded ones."""

import asyncio
import contextlib
import email.utils
import json
import time

import pytest

from earthreason.questions.servers.client import ServerError, UnusableAnswerError
from earthreason.questions.types import Usage
from tests.questions.calls import PAGE, ask, completion, error, fails, request_of
from tests.questions.runs import client_of


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # github.com/compl-ai/compl-ai/issues/20
        (
            400,
            error(
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
                type=None,
                param="prompt",
                code="content_filter",
                innererror={"code": "ResponsibleAIPolicyViolation"},
            ),
        ),
        # github.com/BerriAI/litellm/pull/16231
        (
            400,
            error(
                "litellm.BadRequestError: litellm.ContentPolicyViolationError: AzureException - The response was "
                "filtered due to the prompt triggering Azure OpenAI's content management policy.",
                code="400",
            ),
        ),
        (400, error("This model's maximum context length is 8192 tokens.", code="context_length_exceeded")),
        # llama.cpp by xllamacpp 2026.10.11549; LiteLLM 1.108.7
        (400, error("request (6031 tokens) exceeds the available context size (4096 tokens), try increasing it")),
        (400, error("litellm.ContextWindowExceededError: litellm.BadRequestError: ...", code="400")),
        (400, error("You uploaded an unsupported image.", code="invalid_image_format")),
        (413, b"<html><head><title>413 Request Entity Too Large</title></head></html>"),
        # github.com/SWE-agent/mini-swe-agent/pull/902: an error within a 200
        (200, error("This content was flagged for possible cybersecurity risk...", code=502)),
    ],
)
def test_a_request_that_is_refused_for_its_content_concerns_its_sample(server, status, body):
    failure = fails(server, UnusableAnswerError, *[(status, body)] * 3)
    assert failure.value.lasting
    assert failure.value.usage == Usage()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, error("Incorrect API key provided: x."), "Incorrect API key.*OPENAI_API_KEY"),
        # LiteLLM 1.108.7 without a database
        (400, error("No connected db.", type="no_db_connection", code="400"), "No connected db.*OPENAI_API_KEY"),
        (404, error("The model `gpt-9` does not exist", code="model_not_found"), "gpt-9.*--model"),
        (404, b"<html><title>404 Not Found</title></html>", r"a web page \(404 Not Found\); check --base-url"),
        (400, error("/chat/completions: Invalid model name passed in model=gpt-9."), "Invalid model name.*--model"),
        # github.com/chatanywhere/GPT_API_free/issues/229
        (
            429,
            error("You exceeded your current quota, please check your plan.", code="insufficient_quota"),
            "quota is used up",
        ),
        (402, error("Insufficient credits"), "Insufficient credits.*no credit"),
        # llama.cpp, vLLM, Ollama (github.com/ollama/ollama/issues/17301), OpenAI
        (500, error("image input is not supported - hint: you may need to provide the mmproj"), "--no-images"),
        (400, error("foo is not a multimodal model"), "--no-images"),
        (400, error("this model does not support image input"), "--no-images"),
        (400, error("Invalid content type. image_url is only supported by certain models."), "--no-images"),
        (200, PAGE, r"answers with a web page \(Open WebUI\), not with JSON; check --base-url"),
        (429, error("Rate limit reached", code="rate_limit_exceeded"), "--rpm and --tpm"),
    ],
)
def test_an_error_that_concerns_every_sample_is_told_at_once_with_a_remedy(server, status, body, words):
    headers = [("Retry-After", "0.01")]
    start = time.monotonic()
    failure = fails(server, ServerError, *[(status, body, headers)] * 3)
    failure.match(words)
    assert failure.value.usage == Usage()
    assert time.monotonic() - start < 1.5
    assert len(server.bodies) == (3 if "rate_limit" in json.dumps(str(body)) else 1)


def test_a_fault_of_the_server_concerns_one_sample_until_it_comes_again_and_again(server):
    down = (500, error("no"))

    async def go():
        async with client_of(server, attempts=1) as client:
            failures = []
            for _ in range(4):
                with pytest.raises(UnusableAnswerError) as caught:
                    await client.ask(request_of(), [], "key")
                failures.append(caught.value)
            server.script = [(200, completion()), down, down, down, down, down]
            await client.ask(request_of(), [], "key")
            for _ in range(4):
                with pytest.raises(UnusableAnswerError):
                    await client.ask(request_of(), [], "key")
            with pytest.raises(ServerError, match=r"failed 1 time, last with status 500 \(no\); run again"):
                await client.ask(request_of(), [], "key")
            return failures

    server.script = [down] * 4
    assert [failure.lasting for failure in asyncio.run(go())] == [False] * 4


@pytest.mark.parametrize(
    "message",
    [
        # LiteLLM 1.108.7
        "litellm.UnsupportedParamsError: openai does not support parameters: ['reasoning_effort'], for model=gpt-4o.",
        "Unrecognized request argument supplied: reasoning_effort",
        "[{'type': 'extra_forbidden', 'loc': ('body', 'reasoning_effort'), 'msg': 'Extra inputs are not permitted'}]",
    ],
)
def test_a_parameter_of_the_user_that_the_model_lacks_is_named_at_once(server, message):
    server.refuse = lambda body: message
    request = request_of(reasoning_effort="low")
    fails(server, ServerError, request=request).match("reasoning_effort.*leave out --param reasoning_effort")
    assert len(server.bodies) == 1


def test_a_value_that_is_refused_for_every_request_stops_the_run_in_the_end(server):
    server.refuse = lambda body: "topk must be positive"

    async def go():
        async with client_of(server) as client:
            for _ in range(5):
                with contextlib.suppress(UnusableAnswerError):
                    await client.ask(request_of(topk=1), [], "key")

    with pytest.raises(ServerError, match="topk.*check the model's name and parameters"):
        asyncio.run(go())


@pytest.mark.parametrize(
    "passing",
    [
        (200, error("Provider returned error", code=502)),
        (200, {"id": "x", "choices": [{"error": {"code": 503, "message": "overloaded"}, "finish_reason": "error"}]}),
        # github.com/decolua/9router/issues/2727
        (200, {"id": None, "choices": None}),
        (200, b'{"id": "x", "choi'),
        (200, b"null"),
        (202, b"accepted"),
        (204, b""),
        (502, PAGE),
        "cut",
    ],
)
def test_a_passing_fault_within_an_answer_is_retried(server, passing):
    assert ask(server, passing)[0].questions
    assert len(server.bodies) == 2


def test_a_page_after_good_answers_is_a_passing_fault(server):
    ask(server, (200, completion()), (200, PAGE), (200, completion()), times=2)
    assert len(server.bodies) == 3


@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds", "words"])
def test_retry_after_is_kept_by_every_request(server, form):
    date = email.utils.formatdate(time.time() + 2, usegmt=True)
    headers = {
        "seconds": [("Retry-After", "1")],
        "date": [("Retry-After", date)],
        "milliseconds": [("retry-after-ms", "1000")],
        "words": [],
    }[form]
    told = error("Rate limit reached. Please try again in 1s. Visit https://example.org")

    async def go():
        async with client_of(server) as client:
            await asyncio.gather(*(client.ask(request_of(text=f"Ask {n}"), [], f"{n}") for n in range(2)))
            await client.ask(request_of(), [], "key")

    server.script = [(429, told, headers)]
    start = time.monotonic()
    asyncio.run(go())
    assert 0.9 < time.monotonic() - start < 4


def test_a_wait_of_hours_ends_the_run_and_says_so(server):
    reply = (429, error("Rate limit reached for requests per day"), [("Retry-After", "7200")])
    fails(server, ServerError, reply).match(r"asks to wait 2.0 hours \(Rate limit reached.*run again then")
    assert len(server.bodies) == 1


def test_requests_are_spaced_by_the_limits_given(server):
    def times(**settings):
        async def go():
            async with client_of(server, **settings) as client:
                start = time.monotonic()
                await asyncio.gather(*(client.ask(request_of(), [], f"{n}") for n in range(4)))
                return time.monotonic() - start

        return asyncio.run(go())

    times()  # the imports
    assert times(requests_a_minute=200) >= 3 * 60 / 200
    assert times(tokens_a_minute=20_000) >= 3 * 60 * 101 / 20_000  # 1 token of text, 100 of answer


def test_requests_wait_until_the_headers_leave_room(server):
    server.headers = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "700ms")]
    start = time.monotonic()
    ask(server, times=2)
    assert time.monotonic() - start > 0.7
    server.headers = [("x-ratelimit-remaining-tokens", "-1"), ("x-ratelimit-reset-tokens", "9s")]  # Azure's unknown
    start = time.monotonic()
    ask(server, times=2)
    assert time.monotonic() - start < 2
