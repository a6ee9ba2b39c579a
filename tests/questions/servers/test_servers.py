"""What servers refuse or ignore, and addresses where none answers."""

import asyncio
import logging
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from earthreason.errors import EarthReasonError
from earthreason.questions.servers.client import ClientConfig, ModelClient, ServerError
from earthreason.questions.servers.pricing import load_prices
from earthreason.questions.types import Usage
from tests.questions.calls import ask, completion, error, request_of
from tests.questions.runs import client_of


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


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://x/v1", "http://", "http://[::1", "x"])
def test_an_address_that_is_none_is_told_in_words(address):
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
