"""Request typed answers from a model through the `openai` package, which also retries failed requests."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.questions.servers.adaptation import adapt, enlarge, refused_extra, refused_parameter
from earthreason.questions.servers.address import OPENAI, server_address
from earthreason.questions.servers.faults import Fault, classify, describe_body
from earthreason.questions.servers.pace import Pace
from earthreason.questions.servers.pricing import ModelPrice, Prices, Spending, image_tokens
from earthreason.questions.servers.replies import (
    Answer,
    breaks_schema,
    parse,
    shorten,
    storable,
    text_of,
    was_cut_off,
)
from earthreason.questions.servers.request import LARGER, QUOTED, Request
from earthreason.questions.types import Usage

logger = logging.getLogger("earthreason.questions")
_NO_KEY = "none"
"""Placeholder for servers that need no key; the `openai` client insists on one."""
_MANY_FAILURES = 5
"""Number of doubtful failures in a row, with no answer between, that concern more than one sample."""
_UNPRICED = ModelPrice(input=0, output=0)
"""Stands for a model without a price; its rule for the tokens of a picture is OpenAI's older one."""
_PICTURE_SIZE = 1024, 1024
"""Height and width, pixels, assumed for a picture whose size cannot be read."""


@dataclass(frozen=True)
class ClientConfig:
    """Connection to a model server.

    Attributes:
        base_url: address of an OpenAI-compatible server; None means that in OPENAI_BASE_URL, or OpenAI.
        api_key: key for the server; None reads OPENAI_API_KEY. A server at `base_url` may need none.
        concurrency: largest number of requests in flight.
        timeout: time limit of a request, seconds.
        attempts: number of times a request is sent before a rate limit, a server error or a lost connection is final.
            The `openai` client chooses the pauses.
        requests_a_minute, tokens_a_minute: limits to keep to; None leaves them to the server's headers.
    """

    base_url: str | None = None
    api_key: str | None = None
    concurrency: int = 8
    timeout: float = 120.0
    attempts: int = 12
    requests_a_minute: float | None = None
    tokens_a_minute: float | None = None


class UnusableAnswerError(ValueError):
    """A sample gets no answer: the model refused or answered invalidly twice, or the server rejects this request.

    Attributes:
        usage: what all attempts used or may have used.
        lasting: whether the same request would fail again; if not, it is worth asking in a later run.
    """

    def __init__(self, reason: str, usage: Usage, lasting: bool = True) -> None:
        super().__init__(reason)
        self.usage, self.lasting = usage, lasting


class ServerError(EarthReasonError):
    """The server answers no request: the key, model, quota or address is wrong, or it stays unreachable.

    Attributes:
        usage: what the attempts may have used.
    """

    def __init__(self, message: str, usage: Usage) -> None:
        super().__init__(message)
        self.usage = usage


class _FaultError(Exception):
    """An error response, or none at all."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.words)
        self.fault = fault


class ModelClient:
    """Sends requests to a model server, retries failures and counts tokens and cost."""

    def __init__(self, config: ClientConfig, prices: Prices, refused: dict[str, set[str]] | None = None) -> None:
        """Set up the connection.

        Args:
            config: settings of the connection.
            prices: prices of models.
            refused: names of parameters that the server is known to refuse, by model; it is extended.

        Raises:
            EarthReasonError: there is neither a key nor a `base_url`, or it is no address.
        """
        from openai import AsyncOpenAI, OpenAIError

        from earthreason.questions.servers.connection import WatchedClient

        config = replace(config, base_url=server_address(config.base_url))
        self.config, self.prices = config, prices
        self.refused: dict[str, set[str]] = {} if refused is None else refused
        self._warned = False
        self._failures = 0
        self._slots = asyncio.Semaphore(config.concurrency)
        key = config.api_key or os.environ.get("OPENAI_API_KEY") or (_NO_KEY if config.base_url else None)
        if key is not None and not (key.isascii() and key.isprintable() and key == key.strip()):
            raise EarthReasonError(
                "OPENAI_API_KEY has characters that no key has, such as a space or line break; set it anew"
            )
        pace = Pace(config.requests_a_minute, config.tokens_a_minute)
        try:
            transport = WatchedClient(self._warn, pace, config.timeout)
        except (ImportError, ValueError, OSError) as error:  # an ssl.SSLError is an OSError
            raise EarthReasonError(
                f"no connection can be made: {error}; check SSL_CERT_FILE, SSL_CERT_DIR, HTTP_PROXY, HTTPS_PROXY and "
                "ALL_PROXY"
            ) from None
        try:
            self.openai = AsyncOpenAI(
                base_url=config.base_url or OPENAI,
                api_key=key,
                timeout=config.timeout,
                max_retries=config.attempts - 1,
                http_client=transport,
            )
        except OpenAIError:
            raise EarthReasonError(
                "no key for the model server: set OPENAI_API_KEY, or give your own server with --base-url"
            ) from None

    async def __aenter__(self) -> ModelClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.openai.close()

    def refused_by(self, model: str) -> set[str]:
        """Return the parameters that the server refuses for a model, as far as known."""
        return self.refused.setdefault(model, set())

    def sent_parameters(self, request: Request[Any]) -> dict[str, Any]:
        """Return the parameters that the server gets with a request, without those that it refuses as far as known."""
        body = adapt(request.body(()), self.refused_by(request.model))
        return {name: value for name, value in body.items() if name not in ("model", "messages", "response_format")}

    async def ask(
        self,
        request: Request[Answer],
        urls: Sequence[str],
        key: str,
        heard: list[dict[str, Any]] | None = None,
        spending: Spending | None = None,
    ) -> tuple[Answer, Usage]:
        """Return the typed answer and its usage.

        After an invalid answer, the request is sent once more with the fault; after one that was cut off, with a larger
        token limit. An attempt whose usage the server does not report counts with the most that it may use.

        Args:
            request: request to send.
            urls: data URLs of its pictures.
            key: value of the Idempotency-Key header; a server that honours it does not charge a repeated request.
            heard: list to extend by every completion.
            spending: keeps the cost so far, also when the call is cancelled.

        Raises:
            UnusableAnswerError: there is no usable answer for this request.
            ServerError: the server refuses the key, model or address, or stays unreachable.
        """
        spending = Spending() if spending is None else spending
        price = self.prices.of(request.model) or _UNPRICED
        pictures = sum(image_tokens(price, *_picture_size(url)) for url in urls)
        body, reason = request.body(urls), ""
        for attempt in range(2):
            spending.most = request.most(self.prices, pictures, attempt)
            try:
                completion = await self._complete(body, f"{key}-{attempt}", spending)
            except _FaultError as error:
                raise self._failed(error.fault, spending.usage, reason) from None
            self._failures = 0
            if heard is not None:
                heard.append(completion)
            spending.settle(self.prices.usage(request.model, completion, spending.most))
            answer, reason = parse(request.reply, completion, request.read)
            reason = reason if answer is None else request.fault_of(answer)
            if answer is not None and not reason:
                return answer, spending.usage
            body = _second_body(request.body(urls), completion, reason)
            if "response_format" in body and request.read is None and breaks_schema(request.reply, completion):
                self._note_refusal(request.model, "json_schema", "does not keep to")
        raise UnusableAnswerError(reason, spending.usage)

    def _failed(self, fault: Fault, usage: Usage, earlier: str) -> UnusableAnswerError | ServerError:
        """Return the error for a fault. Doubtful faults become the server's after several in a row."""
        if fault.scope == "doubtful" and earlier:  # the second request was refused: for its length, its limit, ...
            return UnusableAnswerError(f"{earlier}; then {fault.words}", usage)
        if fault.scope == "doubtful":
            self._failures += 1
            if self._failures < _MANY_FAILURES:
                return UnusableAnswerError(fault.words, usage, lasting=False)
        if fault.scope == "sample":
            return UnusableAnswerError(fault.words, usage)
        return ServerError(fault.words, usage)

    async def _complete(self, body: dict[str, Any], key: str, spending: Spending) -> dict[str, Any]:
        """Send a request, again without each parameter that the server refuses.

        Raises:
            _FaultError: the server refuses the request, or no attempt succeeded.
        """
        import openai

        refused = self.refused_by(body["model"])
        while True:
            adapted = adapt(body, refused)  # kept: another request may extend `refused` meanwhile
            try:
                return await self._send(adapted, key, spending)
            except openai.APIStatusError as error:
                name = refused_parameter(adapted, _text_of_error(error))
                if name is None or not (error.status_code in (400, 404, 422) or error.status_code >= 500):
                    raise _FaultError(self._fault(error, refused_extra(body, _text_of_error(error)))) from None
                self._note_refusal(body["model"], name, "refuses")

    async def _send(self, body: dict[str, Any], key: str, spending: Spending) -> dict[str, Any]:
        """Send a request; the `openai` client retries failures, and `connection` makes them recognisable.

        Raises:
            APIStatusError: the server refuses the request.
            _FaultError: no attempt got an answer.
        """
        import openai

        from earthreason.questions.servers.connection import UNREACHED, HopelessError, NotSentError, counting

        others = {name: value for name, value in body.items() if name not in ("model", "messages")}
        tokens = spending.most.input_tokens + spending.most.output_tokens
        try:
            async with self._slots:
                with counting(spending, tokens):
                    raw = await self.openai.chat.completions.with_raw_response.create(
                        model=body["model"],
                        messages=body["messages"],
                        extra_body=others,
                        extra_headers={"Idempotency-Key": key},
                    )
            completion = storable(json.loads(raw.http_response.content))
        except NotSentError:
            raise
        except HopelessError as error:
            raise _FaultError(Fault("run", str(error))) from None
        except openai.APIConnectionError as error:  # includes timeouts and lost connections
            if isinstance(error.__cause__, NotSentError):
                raise error.__cause__ from None
            if isinstance(error.__cause__, HopelessError):
                raise _FaultError(Fault("run", str(error.__cause__))) from None
            unreached = type(error.__cause__).__name__ in UNREACHED
            cause = shorten(error.__cause__) if str(error.__cause__ or "") else "no details"
            words = self._exhausted(f"{type(error).__name__} ({cause})")
            raise _FaultError(Fault("run" if unreached else "doubtful", words)) from None
        return dict(completion)

    def _note_refusal(self, model: str, name: str, verb: str) -> None:
        refused = self.refused_by(model)
        if name not in refused:
            logger.warning("%s (%s) %s %s; asking without it", self.openai.base_url, model, verb, name)
            refused.add(name)

    def _fault(self, error: Any, extra: str | None) -> Fault:
        """Put an error response into words; errors that were retried say so. `extra` is a parameter that is refused."""
        body = error.body if error.body is not None else error.response.text
        fault = classify(error.status_code, body)
        if fault.scope == "doubtful" and extra is not None and error.status_code < 500:
            return Fault("run", f"{fault.words.partition('; check')[0]}; leave out --param {extra}")
        if fault.scope == "doubtful" and error.status_code not in (400, 422):
            return Fault("doubtful", self._exhausted(f"status {error.status_code} ({describe_body(body)})"))
        return fault

    def _exhausted(self, reason: str) -> str:
        address, attempts = self.openai.base_url, self.config.attempts
        return f"{address} failed {count_of(attempts, 'time')}, last with {reason}; run again to continue"

    def _warn(self, reason: str) -> None:
        """Log the first failure as a warning, so that waiting is not silent; log the rest for -v only."""
        level = logging.DEBUG if self._warned else logging.WARNING
        attempts = count_of(self.config.attempts, "time")
        logger.log(level, "%s: %s; trying up to %s", self.openai.base_url, reason, attempts)
        self._warned = True


def _picture_size(url: str) -> tuple[int, int]:
    """Return the height and width of the picture in a data URL, pixels."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:  # reads the header only
            return picture.height, picture.width
    except (OSError, ValueError):
        return _PICTURE_SIZE


def _second_body(first: dict[str, Any], completion: dict[str, Any], reason: str) -> dict[str, Any]:
    """Return the body after an invalid answer: with a larger limit if it was cut off, else with the fault."""
    if was_cut_off(completion) and enlarge(first, LARGER) != first:
        return enlarge(first, LARGER)
    invalid = {"role": "assistant", "content": text_of(completion)[:QUOTED]}
    correction = {"role": "user", "content": f"That was no valid answer: {reason}. Answer again."}
    return {**first, "messages": [*first["messages"], invalid, correction]}


def _text_of_error(error: Any) -> str:
    return f"{error.message} {json.dumps(error.body, default=str)}"
