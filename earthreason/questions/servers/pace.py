"""Keep to a server's limits of requests and tokens a minute, as options, headers and refusals state them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SECONDS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_LONGEST_PAUSE = 60.0
"""Longest pause because of what remains, seconds; limits are a minute's."""


class Pace:
    """Delays requests so that limits are kept. One event loop uses it."""

    def __init__(self, requests_a_minute: float | None = None, tokens_a_minute: float | None = None) -> None:
        """Set the limits; None means that only headers and refusals of the server limit the requests."""
        self._request_time = 60 / requests_a_minute if requests_a_minute else 0.0
        self._token_time = 60 / tokens_a_minute if tokens_a_minute else 0.0
        self._free = 0.0  # time from which the limits allow the next request
        self._paused_until = 0.0

    async def wait(self, tokens: int) -> None:
        """Wait until a request may be sent that uses that many tokens.

        Requests are spaced evenly: a server that counts by seconds would refuse a minute's requests sent at once.
        """
        start = max(self._free, time.monotonic())
        self._free = start + max(self._request_time, tokens * self._token_time)
        while (delay := max(start, self._paused_until) - time.monotonic()) > 0:
            await asyncio.sleep(delay)

    def pause(self, seconds: float) -> None:
        """Send nothing for that time."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def learn(self, headers: Mapping[str, str], tokens: int) -> None:
        """Pause if the `x-ratelimit` headers of an answer leave too little for another request of that many tokens."""
        for kind, needed in (("requests", 1), ("tokens", tokens)):
            limit, remaining = (_number(headers.get(f"x-ratelimit-{name}-{kind}")) for name in ("limit", "remaining"))
            reset = parse_duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
            if reset is None or remaining is None or remaining >= needed:
                continue
            # The header says when everything is free again; the server frees it little by little.
            share = (needed - remaining) / (limit - remaining) if limit and limit > remaining else 1.0
            self.pause(min(reset * min(share, 1.0), _LONGEST_PAUSE))


def parse_duration(text: str) -> float | None:
    """Return the seconds of a duration such as `1s`, `6m0s`, `120ms`, or of a plain number; None for other texts."""
    text = text.strip()
    number = _number(text)
    if number is not None:
        return number
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        return None
    return sum(float(value or 0) * unit for value, unit in zip(match.groups(), _SECONDS, strict=True))


def retry_after(headers: Mapping[str, str], message: str = "") -> float | None:
    """Return how many seconds a refusal asks to wait, by its headers (a number or a date) or its words; None if not."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    if text:
        if (seconds := _number(text)) is not None:
            return seconds
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, OverflowError, TypeError):
            return None
    words = re.search(r"try again in (\d[\d.dhms]*?)\.?(?:\s|$|[,\"'])", message)
    return parse_duration(words[1]) if words else None


def _number(text: str | None) -> float | None:
    """Return a number that is not negative: some servers send -1 for "unknown"."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
