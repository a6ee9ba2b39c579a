"""The client against servers that misbehave: recorded bodies and faults, over HTTP."""

import asyncio
import base64
import contextlib
import email.utils
import io
import json
import logging
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.questions.client import Request, ServerError, UnusableAnswerError
from earthreason.questions.pricing import Spending
from earthreason.questions.types import Rewriting, Usage
from tests.questions.runs import client_of

ANSWER = '{"questions": ["Where?"]}'
PAGE = b"<!DOCTYPE html><html><head><title>Open WebUI</title></head><body></body></html>"
IN, OUT = 2.5e-6, 10e-6  # gpt-4o, US dollars a token


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def request_of(model="gpt-4o", text="Ask", **parameters):
    return Request(text, (), Rewriting, model, {"max_tokens": 100, **parameters})


def completion(content=ANSWER, usage=True, **choice):
    message = {"role": "assistant", "content": content}
    body = {"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}
    return body | ({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}} if usage else {})


def error(message, **others):
    return {"error": {"message": message, **others}}


def ask(server, *replies, request=None, urls=(), spending=None, times=1, **settings):
    """Ask a server that gives these replies first; return the last answer and usage."""
    server.script = list(replies)

    async def go():
        async with client_of(server, **{"attempts": 3, **settings}) as client:
            for _ in range(times):
                result = await client.ask(request or request_of(), urls, "key", spending=spending)
            return result

    return asyncio.run(go())


def fails(server, kind, *replies, **options):
    with pytest.raises(kind) as caught:
        ask(server, *replies, **options)
    assert "\n" not in str(caught.value)
    return caught


# What an answer may look like.


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
    ],
)
def test_an_answer_is_read_from_what_surrounds_it(server, content):
    answer, usage = ask(server, (200, completion(content)))
    assert answer.questions == ["Where?"]
    assert usage == Usage(10, 5, pytest.approx(10 * IN + 5 * OUT))


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


# What it costs.


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


# One sample or all.


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
            with pytest.raises(ServerError, match=r"failed 1 times, last with status 500 \(no\); run again"):
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


# What a server refuses or wants.


def refuse_as_reasoning_model(body):
    if "max_tokens" in body:
        return (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
    if "temperature" in body:
        return (
            "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) is supported."
        )
    return None


def test_a_reasoning_model_is_asked_as_it_wants_and_others_as_before(server):
    server.refuse = lambda body: refuse_as_reasoning_model(body) if body["model"] == "o3" else None

    async def go():
        async with client_of(server) as client:
            for model in ("o3", "o3", "gpt-4o"):
                await client.ask(request_of(model, temperature=0.2, reasoning_effort="low"), [], "key")
            return client.refused

    assert asyncio.run(go()) == {"o3": {"max_tokens", "temperature"}, "gpt-4o": set()}
    *_, first, second, other = server.bodies
    for body in (first, second):
        assert "max_tokens" not in body
        assert "temperature" not in body
        assert (body["max_completion_tokens"], body["reasoning_effort"]) == (100, "low")
    assert (other["max_tokens"], other["temperature"]) == (100, 0.2)
    assert len(server.bodies) == 5


def test_requests_in_flight_learn_what_is_refused_all_the_same(server):
    server.refuse = refuse_as_reasoning_model

    async def go():
        async with client_of(server) as client:
            asking = (client.ask(request_of(temperature=0.2, text=f"{n}"), [], f"{n}") for n in range(8))
            return await asyncio.gather(*asking)

    assert len(asyncio.run(go())) == 8


@pytest.mark.parametrize(
    ("refusals", "forms"),
    [
        # DeepSeek: no schema, but JSON. github.com/getzep/graphiti/issues/874
        ({"json_schema": "This response_format type is unavailable now"}, ["json_schema", "json_object"]),
        # A server of json_schema and text alone (LM Studio, github.com/giuseppe99barchetta/SuggestArr/issues/265),
        # with a model that has no schemas.
        (
            {
                "json_schema": "response_format json_schema is not supported by this model",
                "json_object": "'response_format.type' must be 'json_schema' or 'text'",
            },
            ["json_schema", "json_object", None],
        ),
    ],
)
def test_a_server_without_schemas_is_asked_for_json_and_then_for_text(server, refusals, forms):
    server.refuse = lambda body: refusals.get(body.get("response_format", {}).get("type"))
    server.wrap = lambda reply: {**reply, "choices": [wrapped(reply["choices"][0])]}

    def wrapped(choice):
        return {**choice, "message": {"content": f"Here:\n```json\n{choice['message']['content']}\n```"}}

    answer, _ = ask(server)
    assert len(answer.questions) == 10
    assert [body.get("response_format", {}).get("type") for body in server.bodies] == forms
    assert '"questions"' in server.bodies[-1]["messages"][0]["content"].rpartition("schema:")[2]


def test_a_server_that_ignores_the_schema_gets_it_in_the_prompt_from_then_on(server, caplog):
    # transformers serve 5.24.0 takes any response_format and does not keep to it
    reply = (200, completion('{"items": ["Where?"]}'))
    ask(server, reply, (200, completion()), (200, completion()), times=2)
    texts = [body["messages"][0]["content"] for body in server.bodies]
    assert ["schema:" in text for text in texts] == [False, True, True]
    assert "does not keep to json_schema" in caplog.text


@pytest.mark.parametrize("content", ['{"questions": []}', "", "<think>"])
def test_an_answer_out_of_bounds_says_nothing_of_the_schema(server, content):
    ask(server, (200, completion(content)))
    assert server.bodies[-1]["response_format"]["type"] == "json_schema"


def test_a_schema_that_is_refused_with_status_500_is_not_asked_for_twelve_times(server):
    # llama-cpp-python 0.3.36
    fault = (500, error("[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type')}]"))
    ask(server, fault, attempts=12)
    assert [body["response_format"]["type"] for body in server.bodies] == ["json_schema", "json_object"]


# Faults that pass, and how long to wait.


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


# Addresses.


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://x/v1", "http://", "http://[::1", "x"])
def test_an_address_that_is_none_is_told_in_words(address):
    from earthreason.questions.client import ClientConfig, ModelClient
    from earthreason.questions.pricing import load_prices

    with pytest.raises(EarthReasonError, match="not an address; write one such as http"):
        ModelClient(ClientConfig(base_url=address), load_prices())


class Silent(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def encrypted(tmp_path):
    """Serve with a certificate that nobody trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    running = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def test_a_certificate_without_trust_is_told_at_once(encrypted):
    start = time.monotonic()
    fails_at(f"https://127.0.0.1:{encrypted.server_address[1]}/v1", "certificate is not trusted.*SSL_CERT_FILE")
    assert time.monotonic() - start < 5


def test_encryption_with_a_server_that_has_none_is_told_at_once(server):
    start = time.monotonic()
    fails_at(f"https://127.0.0.1:{server.server_address[1]}/v1", "does --base-url need http://")
    assert time.monotonic() - start < 5


def test_an_address_where_nobody_listens_concerns_every_sample():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fails_at(
        f"http://127.0.0.1:{port}/v1",
        r"failed 2 times, last with APIConnectionError \(.*connect.*\); run again",
        attempts=2,
    )


def fails_at(address, words, attempts=12):
    from earthreason.questions.client import ClientConfig, ModelClient
    from earthreason.questions.pricing import load_prices

    async def go():
        async with ModelClient(ClientConfig(base_url=address, attempts=attempts), load_prices()) as client:
            await client.ask(request_of(), [], "key")

    with pytest.raises(ServerError, match=words) as caught:
        asyncio.run(go())
    assert caught.value.usage == Usage()


def test_nothing_is_said_twice(server, caplog):
    with caplog.at_level(logging.WARNING, logger="earthreason.questions"):
        ask(server, (500, error("no")), (500, error("no")))
    assert sum("trying up to" in record.getMessage() for record in caplog.records) <= 1
