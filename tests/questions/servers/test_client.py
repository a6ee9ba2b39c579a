"""Servers that refuse parameters: the messages are those that OpenAI and others send, as users report them."""

import pytest

from earthreason.questions.servers.adaptation import adapt, refused_parameter
from earthreason.questions.servers.replies import unwrap

SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}, "strict": True}}
BODY = {
    "model": "m",
    "messages": [{"role": "user", "content": "Where?"}],
    "temperature": 0,
    "seed": 1,
    "max_tokens": 50,
    "response_format": SCHEMA,
}


@pytest.mark.parametrize(
    ("message", "name"),
    [
        # github.com/decolua/9router/issues/560
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
        ),
        # github.com/johny-b/llmcomp/issues/69
        (
            "Error code: 400 - {'error': {'message': \"Unsupported value: 'temperature' does not support 0 with this "
            "model. Only the default (1) value is supported.\", 'param': 'temperature', 'code': 'unsupported_value'}}",
            "temperature",
        ),
        # github.com/getzep/graphiti/issues/874
        ("Unsupported parameter: 'temperature' is not supported with this model.", "temperature"),
        (
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
            "json_schema",
        ),
        ("This response_format type is unavailable now", "json_schema"),
        ("temperature must be between 0 and 2", None),
        ("max_tokens is too large: 99999", None),
        ("Unsupported image format", None),
    ],
)
def test_a_message_names_the_parameter_that_can_be_replaced(message, name):
    assert refused_parameter(BODY, message) == name


def test_what_was_replaced_already_is_not_replaced_again():
    body = adapt(BODY, {"max_tokens", "temperature", "response_format"})
    for message in ("use max_completion_tokens", "temperature is not supported", "response_format is unavailable"):
        assert refused_parameter(body, message) is None


def test_a_body_is_adapted():
    assert adapt(BODY, set()) == BODY
    adapted = adapt(BODY, {"max_tokens", "temperature", "response_format"})
    assert adapted == {
        "model": "m",
        "messages": [
            {"role": "user", "content": 'Where?\n\nAnswer with JSON alone, of this schema: {"type": "object"}'}
        ],
        "seed": 1,
        "max_completion_tokens": 50,
    }


def test_the_schema_follows_the_text_of_a_message_with_pictures():
    picture = {"type": "image_url", "image_url": {"url": "data:"}}
    body = {**BODY, "messages": [{"role": "user", "content": [{"type": "text", "text": "Where?"}, picture]}]}
    text, kept = adapt(body, {"response_format"})["messages"][0]["content"]
    assert text["text"].startswith("Where?\n\nAnswer with JSON alone")
    assert kept == picture


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": "```py 1```"}', '{"a": "```py 1```"}'),
        ('Here:\n```json\n{"a": 1}\n```\nDone.', '{"a": 1}'),
        ("```\n1\n```\nNo:\n```\n2\n```", "2"),
        ('<think>{"a": 0}</think>\n{"a": 1}', '{"a": 1}'),
        ('so {"a": 0}</think>{"a": 1}', '{"a": 1}'),
    ],
)
def test_thoughts_and_fences_are_removed(text, bare):
    assert unwrap(text) == bare
