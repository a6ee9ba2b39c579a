"""Adapt requests to servers that refuse some parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

_SAMPLING = ("temperature", "top_p", "seed")
"""Sampling parameters that reasoning models and some servers refuse."""
_REFUSAL = re.compile(
    r"unsupported|not support|not permitted|extra_forbidden|unrecognized|unknown (?:name|param)", re.I
)
_SYSTEM = re.compile(r"\bsystem (?:role|message|prompt|instruction)|roles must alternate", re.I)
"""What servers write whose chat template has no place for a system message."""
_REASONING_MODEL = re.compile(r"(?:.*/)?(?:o\d|gpt-[5-9])(?![a-z0-9])")


def known_refusals(model: str) -> set[str]:
    """Return the parameters that a model is known to refuse, by its name; a batch has no second try in which to ask.

    OpenAI's reasoning models want `max_completion_tokens` instead of `max_tokens`.
    """
    return {"max_tokens"} if _REASONING_MODEL.match(model) else set()


def refused_parameter(body: dict[str, Any], message: str) -> str | None:
    """Return the parameter of a request body that an error message refuses and `adapt` can replace; None for others.

    A refused `response_format` is `json_schema` at first, and `response_format` if plain JSON is refused as well. A
    refused system message is `system`.
    """
    if "max_tokens" in body and "max_completion_tokens" in message:
        return "max_tokens"
    form = body.get("response_format")
    if form and re.search(r"response[_ ]format|json_schema|json_object|structured[_ ]output", message):
        return "json_schema" if form["type"] == "json_schema" else "response_format"
    refused = _REFUSAL.search(message)
    if _SYSTEM.search(message) and body.get("messages", [{}])[0].get("role") == "system":
        return "system"
    return next((name for name in _SAMPLING if refused and name in body and name in message), None)


def refused_extra(body: dict[str, Any], message: str) -> str | None:
    """Return the user's own parameter that an error message refuses; None for others."""
    own = (name for name in body if name not in ("model", "messages", "max_tokens", "response_format"))
    refused = _REFUSAL.search(message)
    return next((name for name in own if refused and re.search(rf"\b{re.escape(name)}\b", message)), None)


def adapt(body: dict[str, Any], refused: Collection[str]) -> dict[str, Any]:
    """Return a request body for a server that refuses some parameters.

    Args:
        body: request body.
        refused: names of parameters. `max_tokens` is renamed as reasoning models want it. For `json_schema`, the
            schema moves into the prompt and the server is asked for any JSON; for `response_format`, not even for that.
            For `system`, the system message moves into that of the user. Others are left out.
    """
    adapted = {name: value for name, value in body.items() if name not in refused}
    if "max_tokens" in body and "max_tokens" in refused:
        adapted["max_completion_tokens"] = body["max_tokens"]
    if "system" in refused:
        adapted["messages"] = _without_system(body["messages"])
    if "response_format" in body and {"json_schema", "response_format"} & set(refused):
        if "response_format" not in refused:
            adapted["response_format"] = {"type": "json_object"}
        schema = json.dumps(body["response_format"]["json_schema"]["schema"])
        note = f"\n\nAnswer with JSON alone, of this schema: {schema}"
        first, *others = adapted["messages"]
        adapted["messages"] = [_with_text(first, "", note), *others]
    return adapted


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if messages[0]["role"] != "system":
        return messages
    system, first, *others = messages
    return [_with_text(first, f"{system['content']}\n\n", ""), *others]


def _with_text(message: dict[str, Any], before: str, after: str) -> dict[str, Any]:
    """Return a message with more text at the beginning and end of its own."""
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": before + content + after}
    return {**message, "content": [{**content[0], "text": before + content[0]["text"] + after}, *content[1:]]}


def enlarge(body: dict[str, Any], factor: int) -> dict[str, Any]:
    """Return a request body with a larger limit for the answer, if it has one."""
    limits = ("max_tokens", "max_completion_tokens")
    return {name: factor * value if name in limits else value for name, value in body.items()}
