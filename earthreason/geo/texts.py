"""Make texts safe for files of other programs."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """Return a text with � for what XML cannot hold or UTF-8 cannot encode: control characters, lone surrogates."""
    return _UNPRINTABLE.sub("\ufffd", text)
