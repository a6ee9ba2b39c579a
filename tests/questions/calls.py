"""Requests to the fake server, the bodies that it answers with, and what they cost."""

import asyncio
import base64
import io

import pytest
from PIL import Image

from earthreason.questions.servers.request import Request
from earthreason.questions.types import Reply
from tests.questions.runs import client_of

ANSWER = '{"questions": ["Where?"]}'
PAGE = b"<!DOCTYPE html><html><head><title>Open WebUI</title></head><body></body></html>"
IN, OUT = 2.5e-6, 10e-6  # gpt-4o, US dollars a token


class Texts(Reply):
    """Some texts."""

    questions: list[str]


def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def request_of(model="gpt-4o", text="Ask", **parameters):
    return Request(text, (), Texts, model, {"max_tokens": 100, **parameters})


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
