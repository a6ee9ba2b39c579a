"""JSON with one meaning: no key is written twice in an object, and no number is NaN or infinite (RFC 8259)."""

from __future__ import annotations

import codecs
import json
from typing import Any, NoReturn


class RepeatedKeyError(ValueError):
    """An object has a key twice, so readers disagree on its value."""


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN, Infinity and -Infinity, which are not JSON."""
    raise ValueError(f"{name} is not JSON; write null or leave the key out")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise RepeatedKeyError(f"key {repeated[:60]!r} is written more than once in one object; keep one")
    return value


DECODER = json.JSONDecoder(parse_constant=refuse_constant, object_pairs_hook=_object)


def strict_loads(content: bytes) -> Any:
    """Decode UTF-8 JSON, with or without a byte order mark.

    Raises:
        ValueError: it is not JSON, a key is repeated, or it is nested too deeply.
    """
    try:
        return DECODER.decode(content.removeprefix(codecs.BOM_UTF8).decode())
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.object[error.start]:#04x} is not UTF-8") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
