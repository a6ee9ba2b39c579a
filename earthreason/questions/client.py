"""Request typed answers from a model through the `openai` package, which also retries failed requests."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from earthreason.errors import EarthReasonError, describe_validation_error
from earthreason.questions.pricing import Prices
from earthreason.questions.types import Usage

Answer = TypeVar("Answer", bound=BaseModel)
logger = logging.getLogger("earthreason.questions")
_LONGEST_PAUSE = 8.0
"""Longest pause after an unreadable reply, seconds."""
_NO_KEY = "none"
"""Placeholder for servers that need no key; the `openai` client insists on one."""
_SAMPLING = ("temperature", "top_p", "seed")
"""Sampling parameters that reasoning models refuse."""
_THOUGHTS = re.compile(r"(?s)^.*</think>")
_FENCE = re.compile(r"(?s)```[a-zA-Z]*\s(.*?)```")
_RETRIED = (408, 409, 429)
"""Error statuses below 500 that the `openai` client retries; it also retries all from 500 up."""


@dataclass(frozen=True)
class ClientConfig:
    """Connection to a model server.

    Attributes:
        base_url: address of an OpenAI-compatible server; None means OpenAI.
        api_key: key for the server; None reads OPENAI_API_KEY. A server at `base_url` may need none.
        concurrency: largest number of requests in flight.
        timeout: time limit of a request, seconds.
        attempts: number of times a request is sent before a rate limit, a server error or a lost connection is final.
            The `openai` client chooses the pauses.
    """

    base_url: str | None = None
    api_key: str | None = None
    concurrency: int = 8
    timeout: float = 120.0
    attempts: int = 12


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """A request to a model. Its pictures are added when it is sent.

    Attributes:
        text: prompt.
        pictures: kinds of the pictures sent along: `image`, `overlay`.
        reply: type that the answer must have.
        model: name of the model on the server.
        parameters: sampling parameters, such as temperature and seed, and `max_tokens`.
        read: function that reads the text of an answer, and raises ValueError if it cannot; None reads JSON of `reply`.
        structured: whether the server is asked to hold the model to the schema of `reply`.
    """

    text: str
    pictures: tuple[str, ...]
    reply: type[Answer]
    model: str
    parameters: dict[str, Any]
    read: Callable[[str], Answer] | None = None
    structured: bool = True

    def identity(self) -> str:
        """Return as text everything, except the pictures, that the answer depends on."""
        parts = [self.text, self.pictures, self.model, self.parameters, strict_schema(self.reply)]
        return json.dumps(parts, sort_keys=True)

    def body(self, urls: Sequence[str]) -> dict[str, Any]:
        """Build the body for the chat completions endpoint, with data URLs of the pictures and the reply's schema."""
        images = [{"type": "image_url", "image_url": {"url": url, "detail": "high"}} for url in urls]
        content: Any = [{"type": "text", "text": self.text}, *images] if images else self.text
        messages = [{"role": "user", "content": content}]
        body = {"model": self.model, "messages": messages, **self.parameters}
        if self.structured:
            schema = {"name": self.reply.__name__.lower(), "schema": strict_schema(self.reply), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body


class UnusableAnswerError(ValueError):
    """The model refused or answered invalidly, twice. `usage` is what both attempts used."""

    def __init__(self, reason: str, usage: Usage) -> None:
        super().__init__(reason)
        self.usage = usage


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
    """Remove thoughts up to </think>, and everything but the last fenced block if there is one."""
    bare = _THOUGHTS.sub("", text).strip()
    blocks = [] if bare.startswith(("{", "[")) else _FENCE.findall(bare)  # fences within JSON belong to its texts
    return blocks[-1].strip() if blocks else bare


def parse(
    reply: type[Answer], completion: dict[str, Any], read: Callable[[str], Answer] | None = None
) -> tuple[Answer | None, str]:
    """Return the typed answer of a completion, or None and the reason why not; `read` is that of `Request`."""
    if not completion.get("choices"):
        return None, "the answer has no choices"
    choice = completion["choices"][0]
    message = choice["message"]
    if message.get("refusal"):
        return None, f"the model refused: {message['refusal']}"
    if choice.get("finish_reason") == "length":
        return None, "the answer was cut off at the token limit"
    content = message.get("content") or ""
    try:
        return (reply.model_validate_json(unwrap(content)) if read is None else read(content)), ""
    except ValidationError as error:
        return None, f"the answer does not have the requested form: {describe_validation_error(error, limit=1)}"
    except ValueError as error:
        return None, f"the answer does not have the requested form: {error}"


class _RefusedParameterError(Exception):
    """The server refuses one parameter of the request, and may take the request without it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def refused_parameter(body: dict[str, Any], message: str) -> str | None:
    """Return the parameter of a request body that an error message refuses and `adapt` can replace; None for others."""
    if "max_tokens" in body and "max_completion_tokens" in message:
        return "max_tokens"
    if "response_format" in body and ("response_format" in message or "json_schema" in message):
        return "response_format"
    unsupported = re.search(r"unsupported|not support", message, re.IGNORECASE)
    return next((name for name in _SAMPLING if unsupported and name in body and name in message), None)


def adapt(body: dict[str, Any], refused: Collection[str]) -> dict[str, Any]:
    """Return a request body for a server that refuses some parameters.

    Args:
        body: request body.
        refused: names of parameters. `max_tokens` is renamed as reasoning models want it, the schema of
            `response_format` moves into the prompt, and others are left out.
    """
    adapted = {name: value for name, value in body.items() if name not in refused}
    if "max_tokens" in body and "max_tokens" in refused:
        adapted["max_completion_tokens"] = body["max_tokens"]
    if "response_format" in body and "response_format" in refused:
        schema = json.dumps(body["response_format"]["json_schema"]["schema"])
        note = f"\n\nAnswer with JSON alone, of this schema: {schema}"
        (first, *others), content = body["messages"], body["messages"][0]["content"]
        if isinstance(content, str):
            content += note
        else:
            content = [{**content[0], "text": content[0]["text"] + note}, *content[1:]]
        adapted["messages"] = [{**first, "content": content}, *others]
    return adapted


class ModelClient:
    """Sends requests to a model server, retries failures and counts tokens and cost."""

    def __init__(self, config: ClientConfig, prices: Prices, refused: set[str] | None = None) -> None:
        """Set up the connection.

        Args:
            config: settings of the connection.
            prices: prices of models.
            refused: names of parameters that the server is known to refuse; extended by those that it refuses.

        Raises:
            EarthReasonError: there is neither a key nor a `base_url`.
        """
        from openai import AsyncOpenAI, OpenAIError

        self.config, self.prices = config, prices
        self.refused: set[str] = set() if refused is None else refused
        self._warned = False
        self._slots = asyncio.Semaphore(config.concurrency)
        key = config.api_key or os.environ.get("OPENAI_API_KEY") or (_NO_KEY if config.base_url else None)
        try:
            self.openai = AsyncOpenAI(
                base_url=config.base_url,
                api_key=key,
                timeout=config.timeout,
                max_retries=config.attempts - 1,
                http_client=_watched_client(self._warn, config.timeout),
            )
        except OpenAIError:
            raise EarthReasonError(
                "no key for the model server: set OPENAI_API_KEY, or give your own server with --base-url"
            ) from None

    async def __aenter__(self) -> ModelClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.openai.close()

    async def ask(
        self, request: Request[Answer], urls: Sequence[str], key: str, heard: list[dict[str, Any]] | None = None
    ) -> tuple[Answer, Usage]:
        """Return the typed answer and its usage. After an invalid answer, send the request once more with the fault.

        Args:
            request: request to send.
            urls: data URLs of its pictures.
            key: value of the Idempotency-Key header; a server that honours it does not charge a repeated request.
            heard: list to extend by every completion.

        Raises:
            UnusableAnswerError: the second answer is invalid too.
            EarthReasonError: the server refuses the key, model or address, or stays unreachable.
        """
        first, spent, reason = request.body(urls), Usage(), ""
        body = first
        for attempt in range(2):
            completion = await self._complete(body, f"{key}-{attempt}")
            if heard is not None:
                heard.append(completion)
            spent += self.prices.usage(request.model, completion)
            answer, reason = parse(request.reply, completion, request.read)
            if answer is not None:
                return answer, spent
            said = (completion["choices"][0]["message"].get("content") or "") if completion.get("choices") else ""
            invalid = {"role": "assistant", "content": said[:4000]}
            correction = {"role": "user", "content": f"That was no valid answer: {reason}. Answer again."}
            body = {**first, "messages": [*first["messages"], invalid, correction]}
        raise UnusableAnswerError(reason, spent)

    async def _complete(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Send a request, again without each parameter that the server refuses.

        Raises:
            EarthReasonError: the server refuses the request, or no attempt succeeded.
        """
        while True:
            try:
                return await self._send(adapt(body, self.refused), key)
            except _RefusedParameterError as error:
                if error.name not in self.refused:
                    logger.warning("%s refuses %s; asking without it", self.openai.base_url, error.name)
                    self.refused.add(error.name)

    async def _send(self, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Send a request, again after a reply that is not JSON; the `openai` client retries all other failures.

        Raises:
            _RefusedParameterError: the server refuses a parameter that `adapt` can replace.
            EarthReasonError: the server refuses the request, or no attempt succeeded.
        """
        import openai
        from openai.types.chat import ChatCompletion

        address, attempts, reason = self.openai.base_url, self.config.attempts, ""
        for attempt in range(attempts):
            try:
                async with self._slots:
                    headers = {"Idempotency-Key": key}
                    completion = await self.openai.chat.completions.create(**body, extra_headers=headers)
            except openai.APIStatusError as error:
                if error.status_code in (400, 422) and (name := refused_parameter(body, str(error.message))):
                    raise _RefusedParameterError(name) from None
                if error.status_code not in _RETRIED and error.status_code < 500:
                    raise EarthReasonError(_refused(error)) from None
                reason = f"status {error.status_code}"
                break
            except openai.APIConnectionError as error:  # includes timeouts and truncated replies
                reason = type(error).__name__
                break
            except (ValueError, TypeError) as error:
                reason = f"unreadable reply ({type(error).__name__})"
            else:
                if isinstance(completion, ChatCompletion):
                    return completion.model_dump()
                reason = f"unreadable reply ({type(completion).__name__})"
            self._warn(reason)
            if attempt < attempts - 1:
                await asyncio.sleep(min(_LONGEST_PAUSE, 0.5 * 2**attempt))
        raise EarthReasonError(f"{address} failed {attempts} times, last with {reason}; run again to continue")

    def _warn(self, reason: str) -> None:
        """Log the first failure as a warning, so that waiting is not silent; log the rest for -v only."""
        level = logging.DEBUG if self._warned else logging.WARNING
        logger.log(level, "%s: %s; trying up to %d times", self.openai.base_url, reason, self.config.attempts)
        self._warned = True


def _watched_client(warn: Callable[[str], object], timeout: float) -> Any:
    """Make an HTTP client that reports every failed attempt; the `openai` client retries silently."""
    from openai import DefaultAsyncHttpxClient

    class WatchedClient(DefaultAsyncHttpxClient):  # type: ignore[misc, valid-type, unused-ignore]
        async def send(self, request: Any, **options: Any) -> Any:
            try:
                response = await super().send(request, **options)
            except Exception as error:
                warn(type(error).__name__)
                raise
            if response.status_code in _RETRIED or response.status_code >= 500:
                warn(f"status {response.status_code}")
            return response

    return WatchedClient(timeout=timeout)


def _refused(error: Any) -> str:
    remedy = {
        401: "check OPENAI_API_KEY",
        403: "the key is not allowed to use this model",
        404: "check --base-url and the model's name",
    }.get(error.status_code, "check the model's name and parameters")
    message = str(error.message).splitlines()[0][:200]
    return f"the model server refused (status {error.status_code}): {message}; {remedy}"
