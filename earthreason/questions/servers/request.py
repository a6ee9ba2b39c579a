"""One request to a model: its messages, its schema and the most that it may use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from earthreason.questions.servers.pricing import Prices, text_tokens
from earthreason.questions.servers.replies import Answer, strict_schema
from earthreason.questions.types import Reply, Usage

LARGER = 2
"""Factor of the token limit after an answer was cut off at it."""
QUOTED = 4000
"""Characters of an invalid answer that are sent back."""


@dataclass(frozen=True)
class Request(Generic[Answer]):
    """A request to a model. Its pictures are added when it is sent.

    Attributes:
        text: message of the user, beside the pictures.
        pictures: kinds of the pictures sent along, see `prompting.pictures`.
        reply: type that the answer must have.
        model: name of the model on the server.
        parameters: sampling parameters, such as temperature and seed, and `max_tokens`.
        read: function that reads the text of an answer, and raises ValueError if it cannot; None reads JSON of `reply`.
        structured: whether the server is asked to hold the model to the schema of `reply`.
        system: system message; none is sent if it is empty.
        examples: turns of user and assistant before the message of the user, texts only.
        given: what the prompt gave that the answer is checked against, JSON values; see `Reply.fault`.
        vote: number of earlier requests that are the same, so that a repetition is another request.
    """

    text: str
    pictures: tuple[str, ...]
    reply: type[Answer]
    model: str
    parameters: dict[str, Any]
    read: Callable[[str], Answer] | None = None
    structured: bool = True
    system: str = ""
    examples: tuple[tuple[str, str], ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    vote: int = 0

    def identity(self) -> str:
        """Return as text everything, except the pictures, that the answer depends on."""
        asked = [self.system, self.examples, self.text, self.pictures, self.model, self.parameters]
        return json.dumps([*asked, strict_schema(self.reply), dict(self.given), self.vote], sort_keys=True)

    def words(self) -> str:
        """Return the texts of all messages."""
        return "\n".join((self.system, *(text for turn in self.examples for text in turn), self.text)).strip("\n")

    def fault_of(self, answer: Answer) -> str:
        """Return what rule of the prompt an answer breaks that its schema cannot state; empty if it breaks none."""
        return answer.fault(self.given) if isinstance(answer, Reply) else ""

    def body(self, urls: Sequence[str]) -> dict[str, Any]:
        """Build the body for the chat completions endpoint, with data URLs of the pictures and the reply's schema."""
        images = [{"type": "image_url", "image_url": {"url": url, "detail": "high"}} for url in urls]
        content: Any = [{"type": "text", "text": self.text}, *images] if images else self.text
        messages: list[dict[str, Any]] = [{"role": "system", "content": self.system}] if self.system else []
        for asked, answered in self.examples:
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        messages.append({"role": "user", "content": content})
        body = {"model": self.model, "messages": messages, **self.parameters}
        if self.structured:
            schema = {"name": self.reply.__name__.lower(), "schema": strict_schema(self.reply), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def longest(self) -> int:
        """Return the token limit of the answer; 1,000 if the request has none."""
        limits = [self.parameters.get(name) for name in ("max_tokens", "max_completion_tokens")]
        return next((int(limit) for limit in limits if isinstance(limit, int | float)), 1000)

    def most(self, prices: Prices, picture_tokens: int, attempt: int = 0, batch: bool = False) -> Usage:
        """Estimate the most that one attempt uses: text, pictures and the longest answer.

        Args:
            prices: prices of models; one without a price costs 0.
            picture_tokens: tokens of all pictures.
            attempt: 0, or 1 for the second one, which quotes the first answer or may have a longer one.
            batch: whether the request goes into a batch.
        """
        quoted = attempt * (text_tokens("x" * QUOTED) + 100)
        read, written = text_tokens(self.words()) + picture_tokens + quoted, self.longest() * LARGER**attempt
        cost = prices.usd(self.model, read, written)
        price = prices.of(self.model)
        return Usage(read, written, cost * (price.batch if price and batch else 1.0))
