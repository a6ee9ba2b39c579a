"""The HTTP client under the `openai` client, which retries: it paces, counts attempts and makes faults recognisable."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from openai import DefaultAsyncHttpxClient, OpenAIError

from earthreason.questions.servers.adaptation import refused_parameter
from earthreason.questions.servers.faults import describe_body, error_within, is_page, is_quota, lacks_images
from earthreason.questions.servers.pace import Pace, retry_after
from earthreason.questions.servers.pricing import Spending, reported_tokens

RETRIED = (408, 409, 429)
"""Error statuses below 500 that the `openai` client retries; it also retries all from 500 up."""
UNREACHED = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol", "LocalProtocolError")
"""Exceptions before a request reaches the server."""
_LATE = (408, 504, 524)
"""Statuses of a proxy that stopped waiting; the model behind it may go on, and be paid for."""
_LONGEST_RETRY_AFTER = 60.0
"""Longest Retry-After that every version of the `openai` client waits for, seconds."""
_LONGEST_WAIT = 3600.0
"""Longest wait that a server may ask for, seconds; a run is continued later instead."""
_transport = import_module(DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library of the `openai` client: httpx, or httpx2 in newer versions."""
BROKEN_OFF: type[Exception] = _transport.HTTPError
"""What the `openai` client passes on when an answer that is read piece by piece breaks off or cannot be decoded."""
_spending: ContextVar[tuple[Spending, int] | None] = ContextVar("spending", default=None)
logger = logging.getLogger("earthreason.questions")


class HopelessError(OpenAIError):
    """A fault that no retry mends; the `openai` client passes its own class of errors on."""


class NotSentError(HopelessError):
    """A request may not be sent (again): the run is to end, or the budget would be exceeded. The cause says why."""


@contextmanager
def counting(spending: Spending, tokens: int) -> Iterator[None]:
    """Count the attempts of the requests sent within; `tokens` is the most that one may use."""
    token = _spending.set((spending, tokens))
    try:
        yield
    finally:
        _spending.reset(token)


class WatchedClient(DefaultAsyncHttpxClient):  # type: ignore[misc, valid-type, unused-ignore]
    """HTTP client that watches every attempt; the `openai` client retries silently."""

    def __init__(self, warn: Callable[[str], object], pace: Pace, timeout: float) -> None:
        super().__init__(timeout=timeout)
        self._warn, self._pace, self._limit = warn, pace, timeout
        self._answered = False

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request.

        Raises:
            HopelessError: the certificate or address is wrong, a header cannot be sent, or the server asks to wait for
                hours.
            NotSentError: `Spending.admit` does not admit it.
        """
        counted = _spending.get()
        spending, tokens = counted or (Spending(), 0)
        if counted is not None:
            await self._pace.wait(tokens)
        try:
            spending.begin()
        except RuntimeError as error:
            raise NotSentError(str(error)) from error
        try:
            async with asyncio.timeout(self._limit if counted else None):  # httpx limits the pauses, not the whole
                response = await super().send(request, **options)
        except TimeoutError:
            self._warn("timeout")
            raise _transport.ReadTimeout("no whole answer in time", request=request) from None
        except Exception as error:
            if type(error).__name__ in UNREACHED:
                spending.cancel()
            _raise_if_hopeless(error)
            self._warn(type(error).__name__)
            raise
        if counted is not None and response.is_success:
            self._unmask(request, response, spending)
        if response.status_code >= 400:
            if response.status_code not in _LATE and response.extensions.get("paid") is None:
                spending.cancel()
            await response.aread()
            retried = response.status_code in RETRIED or response.status_code >= 500
            if self._prepare_retry(request, response) and retried:
                self._warn(f"status {response.status_code}")
        self._pace.learn(response.headers, tokens)
        return response

    def _unmask(self, request: Any, response: Any, spending: Spending) -> None:
        """Give a fault that came with a status of success the status it deserves.

        Raises:
            HopelessError: the address is that of a web page.
        """
        try:
            completion = json.loads(response.content)
        except (ValueError, RecursionError):
            completion = None
        if isinstance(completion, dict):
            self._answered = self._answered or bool(completion.get("choices"))
            if fault := error_within(completion):
                response.status_code = fault[0]
                if reported_tokens(completion) is not None:
                    response.extensions["paid"] = "perhaps"
            return
        if is_page(response.text) and not self._answered:
            spending.cancel()
            raise HopelessError(
                f"{request.url} answers with {describe_body(response.text)}, not with JSON; check --base-url (most "
                "servers want /v1 at its end)"
            )
        response.status_code = 502
        response.extensions["paid"] = "perhaps"

    def _prepare_retry(self, request: Any, response: Any) -> bool:
        """Tell the `openai` client not to retry what stays refused, and wait here if it would not wait long enough.

        Returns:
            Whether it may retry.

        Raises:
            HopelessError: the server asks to wait for hours.
        """
        try:
            body = json.loads(response.content)
        except (ValueError, RecursionError):
            body = response.text
        text = json.dumps(body)
        if is_quota(body) or (response.status_code >= 500 and (lacks_images(body) or _refuses(request, text))):
            response.headers["x-should-retry"] = "false"
            return False
        seconds = retry_after(response.headers, text)
        is_busy = response.status_code in (429, 503, 529)
        if seconds is None or (seconds > _LONGEST_RETRY_AFTER and not is_busy):
            _forget_wait(response)
        if seconds is None or not is_busy:
            return True
        if seconds > _LONGEST_WAIT:
            raise HopelessError(
                f"{request.url} asks to wait {seconds / 3600:.1f} hours ({describe_body(body)}); run again then to "
                "continue"
            )
        self._pace.pause(seconds)
        if seconds > _LONGEST_RETRY_AFTER:
            logger.warning("%s asks to wait %.0f seconds", request.url, seconds)
            _forget_wait(response)
        return True


def _forget_wait(response: Any) -> None:
    """Remove what the `openai` client would give up at: a wait that it finds too long or cannot read."""
    for name in ("retry-after", "retry-after-ms"):
        response.headers.pop(name, None)


def _refuses(request: Any, text: str) -> bool:
    """Tell whether an error is about a parameter that can be replaced."""
    try:
        return refused_parameter(json.loads(request.content), text) is not None
    except (ValueError, AttributeError, RuntimeError):  # an upload has no JSON, and may be streamed
        return False


def _raise_if_hopeless(error: BaseException) -> None:
    name = type(error).__name__
    if name == "LocalProtocolError":  # its words would show the key
        raise HopelessError(
            "a header cannot be sent; check OPENAI_API_KEY, OPENAI_ORG_ID and OPENAI_PROJECT_ID"
        ) from None
    if name == "UnsupportedProtocol":
        raise HopelessError("--base-url must begin with http:// or https://") from None
    cause: BaseException | None = error
    while cause is not None and name == "ConnectError":
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise HopelessError(
                f"the server's certificate is not trusted ({cause.verify_message}); set SSL_CERT_FILE to the "
                "certificate of its authority, or check --base-url"
            ) from None
        if isinstance(cause, ssl.SSLError):
            raise HopelessError(
                f"no encrypted connection is possible ({cause.reason or cause}); does --base-url need http:// instead "
                "of https://?"
            ) from None
        cause = cause.__cause__ or cause.__context__
