"""Read typed answers from completions, however the model or the server wraps them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from earthreason.errors import describe_validation_error

Answer = TypeVar("Answer", bound=BaseModel)
_THOUGHTS = re.compile(r"(?s)^.*</think(?:ing)?>")
_UNFINISHED_THOUGHTS = re.compile(r"^\s*<think(?:ing)?>")
_FENCE = re.compile(r"(?s)```[a-zA-Z]*\s(.*?)```")
_FORM = ("json_invalid", "missing", "extra_forbidden")
"""Kinds of faults that a schema rules out."""
_LONGEST_REASON = 300


@cache  # every request needs it twice, and pydantic takes a millisecond
def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Build the JSON schema for strict structured output: all keys required, and no bounds, which `parse` checks."""

    def tidy(node: Any) -> Any:
        if isinstance(node, dict):
            dropped = ("title", "default", "minLength", "maxLength", "minItems", "maxItems", "minimum")
            tidied = {key: tidy(value) for key, value in node.items() if key not in dropped}
            if "properties" in tidied:
                tidied["required"] = list(tidied["properties"])
                tidied["additionalProperties"] = False
            return tidied
        return [tidy(item) for item in node] if isinstance(node, list) else node

    return dict(tidy(model.model_json_schema()))


def unwrap(text: str) -> str:
    """Remove thoughts up to </think>, and everything but the last fenced block of JSON, or the last one of any kind."""
    bare = _without_thoughts(text)
    blocks = [] if bare.startswith(("{", "[")) else _FENCE.findall(bare)  # fences within JSON belong to its texts
    blocks = [block for block in blocks if block.lstrip().startswith(("{", "["))] or blocks
    return blocks[-1].strip() if blocks else bare


def _without_thoughts(text: str) -> str:
    bare = _THOUGHTS.sub("", text).strip().lstrip("\ufeff").strip()
    if not bare.startswith('"{'):
        return bare
    try:  # JSON within a JSON text
        return str(json.loads(bare))
    except ValueError:
        return bare


def parse(
    reply: type[Answer], completion: dict[str, Any], read: Callable[[str], Answer] | None = None
) -> tuple[Answer | None, str]:
    """Return the typed answer of a completion, or None and the reason why not.

    Args:
        reply: type of the answer.
        completion: JSON of the completion, as any server may send it.
        read: function that reads the text of an answer, and raises ValueError if it cannot; None reads JSON of `reply`.
    """
    choice, message = _first_choice(completion)
    if choice is None:
        return None, "the answer has no choices"
    if message.get("refusal"):
        return None, shorten(f"the model refused: {message['refusal']}")
    if choice.get("finish_reason") == "content_filter":
        return None, "the provider's content filter stopped the answer"
    if was_cut_off(completion):
        return None, "the answer was cut off at the token limit"
    text = text_of(completion)
    if not text.strip():
        return None, "the answer is empty"
    try:
        return (_read_json(reply, text) if read is None else read(text)), ""
    except ValidationError as error:
        return None, shorten(_malformed(describe_validation_error(error, limit=1)))
    except (ValueError, RecursionError) as error:
        return None, shorten(_malformed(error))


def breaks_schema(reply: type[BaseModel], completion: dict[str, Any]) -> bool:
    """Tell whether an answer lacks the form that a server which holds models to `reply` would have given it.

    Bounds, which `strict_schema` leaves out, do not count; nor do answers that were refused, cut off or empty.
    """
    choice, message = _first_choice(completion)
    text = text_of(completion)
    if choice is None or message.get("refusal") or was_cut_off(completion) or not text.strip():
        return False
    try:
        _read_json(reply, text)
    except ValidationError as error:
        return any(fault["type"] in _FORM or fault["type"].endswith("_type") for fault in error.errors())
    except (ValueError, RecursionError):
        pass
    return False


def text_of(completion: dict[str, Any]) -> str:
    """Return the text of a completion: its content, the texts of its content parts, or the arguments of a tool call."""
    _, message = _first_choice(completion)
    content = message.get("content")
    if isinstance(content, list):
        parts = [
            part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, str | dict)
        ]
        content = "".join(part for part in parts if isinstance(part, str))
    if isinstance(content, dict):  # a server that parsed the JSON itself
        return json.dumps(content)
    said = content if isinstance(content, str) else ""
    if "{" in said:
        return said
    return _arguments_of(message) or (said if said.strip() else _thoughts_of(message))


def _thoughts_of(message: Mapping[str, Any]) -> str:
    """Return the JSON that a server took for thoughts."""
    texts = (message.get(name) for name in ("reasoning_content", "reasoning"))
    return next((text for text in texts if isinstance(text, str) and "{" in text), "")


def _arguments_of(message: Mapping[str, Any]) -> str:
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    for function in (*functions, message.get("function_call")):
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if arguments:
            return arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ""


def storable(value: Any) -> Any:
    """Return JSON values with texts that any file can hold: halves of surrogate pairs become U+FFFD."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return [storable(item) for item in value] if isinstance(value, list) else value


def was_cut_off(completion: dict[str, Any]) -> bool:
    """Tell whether an answer ends because it reached its token limit."""
    choice, _ = _first_choice(completion)
    return choice is not None and choice.get("finish_reason") in ("length", "max_tokens")


def shorten(text: object) -> str:
    """Return a text of a server in one line of moderate length that any file can hold."""
    line = " ".join(str(text).split()).encode("utf-8", "replace").decode()
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 3]}..."


def _malformed(fault: object) -> str:
    return f"the answer does not have the requested form: {fault}"


def _first_choice(completion: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return None, {}
    message = choice.get("message")
    return choice, message if isinstance(message, dict) else {}


def _read_json(reply: type[Answer], text: str) -> Answer:
    """Validate the first part of a text that has the form of `reply`.

    Raises:
        ValidationError: no part has it; the error is that of the most likely part.
        ValueError: the text ends within the model's thoughts.
    """
    bare = unwrap(text)
    if _UNFINISHED_THOUGHTS.match(bare):
        raise ValueError("it ends within its thoughts")
    fault: ValidationError | None = None
    for part in chain(_parts(bare), _parts(_without_thoughts(text))):  # a fence may end within the texts of the JSON
        try:
            return reply.model_validate_json(part)
        except ValidationError as error:
            # Prose is no JSON at all; what an object lacks says more.
            if fault is None or (_is_no_json(fault) and not _is_no_json(error)):
                fault = error
    assert fault is not None  # there is at least one part
    raise fault


def _is_no_json(error: ValidationError) -> bool:
    return error.errors()[0]["type"] == "json_invalid"


def _parts(text: str) -> Iterator[str]:
    """Yield the whole text, then every outermost JSON object in it, the last one first."""
    yield text
    decoder, found, at = json.JSONDecoder(), [], text.find("{")
    while at >= 0:
        try:
            _, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            found.append(text[at:end])
        at = text.find("{", end)
    yield from reversed(found)
