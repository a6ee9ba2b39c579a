"""Parameters of requests from the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from earthreason.errors import EarthReasonError

_OWN = {
    "model": "give --model",
    "messages": "the prompts are files, see --prompt-dir",
    "response_format": "the schema of the answers is fixed",
    "stream": "answers are read whole",
    "n": "one answer is read",
    "max_tokens": "give --max-tokens",
    "temperature": "give --temperature",
}
"""Parameters that are not for `--param`, and what to do instead."""


def merge_parameters(parameters: Mapping[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Add parameters written as `key=value` to those of a request.

    Args:
        parameters: parameters so far; their `max_tokens` gives way to a given `max_completion_tokens`.
        given: texts; a value is JSON if it can be read as such, else text.

    Raises:
        EarthReasonError: a text is malformed, or its parameter is not to be set so.
    """
    merged = dict(parameters)
    for text in given:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator or not name or not text.isprintable():
            raise EarthReasonError(f"--param {text}: write KEY=VALUE, such as reasoning_effort=low or top_p=0.9")
        if name in _OWN:
            raise EarthReasonError(f"--param {text}: {name} cannot be set here; {_OWN[name]}")
        merged[name] = _read_value(value)
        if name == "max_completion_tokens":
            if not isinstance(merged[name], int) or isinstance(merged[name], bool) or merged[name] < 1:
                raise EarthReasonError(f"--param {text}: write a number of tokens")
            merged.pop("max_tokens", None)
    return merged


def _read_value(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)  # NaN and Infinity are no JSON, and servers refuse them

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text
