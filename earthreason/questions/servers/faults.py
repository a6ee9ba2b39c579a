"""Decide from a server's error whether it concerns one sample or all, and put it into words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from earthreason.questions.servers.replies import shorten

Scope = Literal["sample", "doubtful", "run"]
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|billing_hard_limit|credit balance|insufficient balan"
)
_FILTERED = re.compile(
    r"content[_ ](?:filter|policy|management policy)|responsibleai|safety system|moderation|flagged|invalid_prompt"
    r"|data_inspection_failed|usage polic"
)
_TOO_LONG = re.compile(
    r"context_length|context length|context size|maximum context|context window|contextwindow|prompt is too long"
    r"|too many tokens"
)
_NO_IMAGES = re.compile(
    r"(?:image|vision|multimodal)\w* (?:input|content)?s? ?(?:is|are) not supported"
    r"|(?:not|n't) support(?:ed)?:? (?:image|vision|multimodal)|support image input|not a multimodal model"
    r"|image_url.{0,40}(?:not|only) supported|at most 0 image"
)
_BAD_IMAGE = re.compile(
    r"invalid_image|image_parse|unsupported image|invalid image"
    r"|(?:process|parse|load|identify|decode)\w* (?:the )?image|image.{0,20}too (?:large|small|big)"
)
_NO_MODEL = re.compile(
    r"model_not_found|invalid model|model.{0,80}(?:not found|does not exist|not exist)|unknown model"
    r"|server is pinned to"
)
_REMEDIES = {
    401: "check OPENAI_API_KEY",
    402: "the account has no credit",
    403: "the key is not allowed to use this model",
    404: "check --base-url (most servers want /v1 at its end) and the model's name",
    405: "check --base-url (most servers want /v1 at its end)",
    429: "lower --concurrency, or give the limits with --rpm and --tpm",
}


class Fault(NamedTuple):
    """An error of a server: whom it concerns, and what it says.

    `sample` errors come again with the same request, and only with it. `run` errors concern every request. `doubtful`
    ones may be either, such as status 500.
    """

    scope: Scope
    words: str


def classify(status: int, body: object) -> Fault:
    """Classify an error response.

    Args:
        status: HTTP status.
        body: JSON of the response, or its text.
    """
    text = describe_body(body)
    every = (body if isinstance(body, str) else json.dumps(body, default=str)).lower()
    said = f"the model server refused (status {status}): {text}"
    if _QUOTA.search(every):
        return Fault("run", f"{said}; the account's quota is used up: add credit, or use another key")
    if _FILTERED.search(every):
        return Fault("sample", f"{said}; this is the provider's content filter")
    if _NO_IMAGES.search(every):
        return Fault("run", f"{said}; the model takes no images: give a vision model, or --no-images")
    if status in (400, 413, 422) or status >= 500:
        if _TOO_LONG.search(every) or status == 413:
            return Fault("sample", f"{said}; the request is too long for the model")
        if _BAD_IMAGE.search(every):
            return Fault("sample", f"{said}; the server cannot read the image")
    if _NO_MODEL.search(every) and status < 500:
        return Fault("run", f"{said}; check --model and --base-url")
    if "no_db_connection" in every:  # what LiteLLM's proxy says to a wrong key if it has no database
        return Fault("run", f"{said}; {_REMEDIES[401]}")
    if status in _REMEDIES:
        return Fault("run", f"{said}; {_REMEDIES[status]}")
    if status in (400, 422):
        return Fault("doubtful", f"{said}; check the model's name and parameters")
    return Fault("doubtful" if status >= 500 or status in (408, 409) else "run", said)


def is_quota(body: object) -> bool:
    """Tell whether an error says that the account's quota is used up, which no retry mends."""
    return bool(_QUOTA.search(json.dumps(body, default=str).lower()))


def lacks_images(body: object) -> bool:
    """Tell whether an error says that the model takes no images, which no retry mends."""
    return bool(_NO_IMAGES.search(json.dumps(body, default=str).lower()))


def describe_body(body: object) -> str:
    """Return the message of an error response in one line; for a web page, its title."""
    error: Any = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(error, Mapping):
        error = error.get("message") or error.get("detail") or error.get("code") or json.dumps(error, default=str)
    text = str(error or "no reason given")
    if is_page(text):
        title = re.search(r"(?is)<title[^>]*>(.*?)</title>", text)
        return f"a web page{f' ({shorten(title[1])})' if title else ''}"
    return shorten(text)


def is_page(text: str) -> bool:
    """Tell whether a text is HTML."""
    return bool(re.match(r"(?is)\s*(?:\ufeff)?<(?:!doctype html|html|head|body)", text))


def error_within(completion: Mapping[str, Any]) -> tuple[int, object] | None:
    """Return the status and content of an error that a server sent with status 200; None if there is none.

    Routers answer so when the provider behind them fails: `{"error": {"code": 502, ...}}`, also within a choice, or
    `{"choices": null}` without usage.
    """
    choices = completion.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    error = completion.get("error") or (first.get("error") if isinstance(first, Mapping) else None)
    if first is not None and isinstance(error, Mapping) and not error.get("message") and not error.get("code"):
        error = None  # {"code": 0, "message": ""} beside an answer
    if not error:
        return None if first is not None or completion.get("usage") else (502, "an answer without choices")
    code = str(error.get("code", error.get("status")) if isinstance(error, Mapping) else error)
    if code.isdecimal() and 400 <= int(code) <= 599:
        return int(code), error
    if is_quota(error) or "rate" in code.lower():
        return 429, error
    return 502, error
