"""Ask a model for a typed answer through the `openai` package, which also retries failed requests."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from earthreason.errors import EarthReasonError
from earthreason.questions.pricing import Prices
from earthreason.questions.types import Usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

logger = logging.getLogger("earthreason.questions")
_LONGEST_PAUSE = 8.0
"""Seconds between two attempts after unreadable replies."""
_NO_KEY = "none"
"""Sent as the key to local servers, which need none; the client library insists on one."""
_RETRIED = (408, 409, 429)
"""Refusals that the `openai` client retries, besides all of 500 and above."""


@dataclass(frozen=True)
class ClientConfig:
    """How models are reached.

    Attributes:
        base_url: address of any OpenAI-compatible server; None is OpenAI's own.
        api_key: None reads OPENAI_API_KEY. A server at `base_url` may need none.
        concurrency: largest number of requests in flight.
        timeout: seconds a request may take.
        attempts: times a request is sent before a rate limit, a server error or a lost connection counts as final.
            The `openai` client decides how long to wait in between.
    """

    base_url: str | None = None
    api_key: str | None = None
    concurrency: int = 8
    timeout: float = 120.0
    attempts: int = 12


@dataclass(frozen=True)
class Request:
    """One question to a model, as data; the pictures are added when it is sent.

    Attributes:
        text: what is asked.
        pictures: which go with it: `image`, `overlay`.
        reply: what the answer has to be.
        model: name at the server.
        parameters: temperature, seed and the like.
    """

    text: str
    pictures: tuple[str, ...]
    reply: type[BaseModel]
    model: str
    parameters: dict[str, Any]

    def identity(self) -> str:
        """Everything but the pictures that an answer depends on, as text."""
        parts = [self.text, self.pictures, self.model, self.parameters, strict_schema(self.reply)]
        return json.dumps(parts, sort_keys=True)

    def body(self, urls: Sequence[str]) -> dict[str, Any]:
        """As the chat completions endpoint takes it, with data URLs of the pictures and the reply's JSON schema."""
        images = [{"type": "image_url", "image_url": {"url": url, "detail": "high"}} for url in urls]
        content: Any = [{"type": "text", "text": self.text}, *images] if images else self.text
        schema = {"name": self.reply.__name__.lower(), "schema": strict_schema(self.reply), "strict": True}
        form = {"type": "json_schema", "json_schema": schema}
        messages = [{"role": "user", "content": content}]
        return {"model": self.model, "messages": messages, "response_format": form, **self.parameters}


class UnusableAnswerError(ValueError):
    """The model refused twice, or gave no valid answer twice. `usage` was spent all the same."""

    def __init__(self, reason: str, usage: Usage) -> None:
        super().__init__(reason)
        self.usage = usage


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema with every key required, as strict structured output wants it; bounds are checked on our side."""

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


def parse(reply: type[BaseModel], choice: Any) -> tuple[BaseModel | None, str]:
    """The typed answer of a choice, or None and why not."""
    message = choice["message"]
    if message.get("refusal"):
        return None, f"the model refused: {message['refusal']}"
    if choice.get("finish_reason") == "length":
        return None, "the answer was cut off at the token limit"
    try:
        return reply.model_validate_json(message.get("content") or ""), ""
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        return None, f"not what was asked for: {where + ': ' if where else ''}{fault['msg']}"


class ModelClient:
    """Asks, waits where the server says so, and counts what it costs."""

    def __init__(self, config: ClientConfig, prices: Prices) -> None:
        """Set up the connection.

        Raises:
            EarthReasonError: there is no key, and no server of one's own.
        """
        from openai import AsyncOpenAI, OpenAIError

        self.config, self.prices = config, prices
        self._warned = False
        self._slots = asyncio.Semaphore(config.concurrency)
        key = config.api_key or os.environ.get("OPENAI_API_KEY") or (_NO_KEY if config.base_url else None)
        try:
            self.openai: AsyncOpenAI = AsyncOpenAI(
                base_url=config.base_url,
                api_key=key,
                timeout=config.timeout,
                max_retries=config.attempts - 1,
                http_client=_watched_client(self._tell, config.timeout),
            )
        except OpenAIError:
            raise EarthReasonError(
                "no key for the model server: set OPENAI_API_KEY, or name a server of your own with --base-url"
            ) from None

    async def __aenter__(self) -> ModelClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.openai.close()

    async def ask(self, request: Request, urls: Sequence[str], key: str) -> tuple[BaseModel, Usage]:
        """The typed answer; a refusal or malformed answer is asked again once, with the error.

        Args:
            request: what to ask.
            urls: data URLs of its pictures.
            key: sent as Idempotency-Key, so that a server that honours it does not charge a repeated request.

        Raises:
            UnusableAnswerError: no usable answer after the second try.
            EarthReasonError: the server refuses us (key, model, address), or stays unreachable.
        """
        first, spent, reason = request.body(urls), Usage(), ""
        body = first
        for attempt in range(2):
            completion = await self._complete(body, f"{key}-{attempt}")
            spent = self._add(spent, request.model, completion.get("usage") or {})
            if not completion.get("choices"):
                answer, reason, said = None, "the answer has no choices", ""
            else:
                choice = completion["choices"][0]
                answer, reason = parse(request.reply, choice)
                said = choice["message"].get("content") or ""
            if answer is not None:
                return answer, spent
            correction = {"role": "user", "content": f"That was no valid answer: {reason}. Answer again."}
            told = {"role": "assistant", "content": said[:4000]}
            body = {**first, "messages": [*first["messages"], told, correction]}
        raise UnusableAnswerError(reason, spent)

    def _add(self, spent: Usage, model: str, usage: dict[str, Any]) -> Usage:
        tokens_in, tokens_out = (int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens"))
        usd = self.prices.usd(model, tokens_in, tokens_out)
        return Usage(spent.input_tokens + tokens_in, spent.output_tokens + tokens_out, spent.usd + usd)

    async def _complete(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Send a request. The `openai` client retries everything but a reply that is not JSON, which is retried here.

        Raises:
            EarthReasonError: the server refuses us, or no attempt succeeded.
        """
        import openai
        from openai.types.chat import ChatCompletion

        address, attempts = self.openai.base_url, self.config.attempts
        reason = ""
        for attempt in range(attempts):
            try:
                async with self._slots:
                    headers = {"Idempotency-Key": key}
                    completion = await self.openai.chat.completions.create(**body, extra_headers=headers)
            except openai.APIStatusError as error:
                if error.status_code not in _RETRIED and error.status_code < 500:
                    raise EarthReasonError(_refused(error)) from None
                reason = f"status {error.status_code}"
                break
            except openai.APIConnectionError as error:  # time-outs and cut-off replies among them
                reason = type(error).__name__
                break
            except (ValueError, TypeError) as error:
                reason = f"unreadable reply ({type(error).__name__})"
            else:
                if isinstance(completion, ChatCompletion):
                    return completion.model_dump()
                reason = f"unreadable reply ({type(completion).__name__})"
            self._tell(reason)
            if attempt < attempts - 1:
                await asyncio.sleep(min(_LONGEST_PAUSE, 0.5 * 2**attempt))
        raise EarthReasonError(f"{address} failed {attempts} times, last with {reason}; run again to go on")

    def _tell(self, reason: str) -> None:
        """Warn of the first trouble, so that waiting is not silent; the rest, perhaps hundreds, is for -v."""
        level = logging.DEBUG if self._warned else logging.WARNING
        logger.log(level, "%s: %s; trying up to %d times", self.openai.base_url, reason, self.config.attempts)
        self._warned = True


def _watched_client(tell: Callable[[str], object], timeout: float) -> Any:
    """An HTTP client that tells of every failed attempt; the `openai` client retries without a word."""
    from openai import DefaultAsyncHttpxClient

    class WatchedClient(DefaultAsyncHttpxClient):  # type: ignore[misc, valid-type, unused-ignore]
        async def send(self, request: Any, **options: Any) -> Any:
            try:
                response = await super().send(request, **options)
            except Exception as error:
                tell(type(error).__name__)
                raise
            if response.status_code in _RETRIED or response.status_code >= 500:
                tell(f"status {response.status_code}")
            return response

    return WatchedClient(timeout=timeout)


def _refused(error: Any) -> str:
    remedy = {
        401: "check OPENAI_API_KEY",
        403: "the key may not use this model",
        404: "check --base-url and the model's name",
    }.get(error.status_code, "check the model's name and parameters")
    message = str(error.message).splitlines()[0][:200]
    return f"the model server refused (status {error.status_code}): {message}; {remedy}"


# The former names, which `baselines.vlm_sam` imports.
Client = ModelClient
Unusable = UnusableAnswerError
