"""Ask a vision-language model where the answer is."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.grounding.answers import Grounding, Target, place, read_answer
from earthreason.grounding.profiles import Profile
from earthreason.grounding.prompt import write_prompt
from earthreason.questions.servers.client import ClientConfig, ModelClient, UnusableAnswerError
from earthreason.questions.servers.pricing import load_prices
from earthreason.questions.servers.request import Request
from earthreason.reports.page import embed_image


@dataclass(frozen=True)
class Located:
    """What a model wrote about one question.

    Attributes:
        targets: regions in fractions of the image; empty for "no target", and for a failure.
        failure: reason why the answer cannot be read; None if it can.
        transcript: prompt, sent size and replies, as JSON values.
    """

    targets: list[Target]
    failure: str | None
    transcript: dict[str, Any]


@dataclass
class Locator:
    """A vision-language model on a server, with its settings.

    Attributes:
        model: name of the model on the server.
        profile: how it gives coordinates.
        config: settings of the connection.
        temperature: sampling temperature; None leaves it to the server.
        max_tokens: largest length of an answer, thoughts included; None leaves it to the server.
        refused: names of parameters that the server was found to refuse, by model.
    """

    model: str
    profile: Profile
    config: ClientConfig
    temperature: float | None = 0.0
    max_tokens: int | None = None
    refused: dict[str, set[str]] = field(default_factory=dict)

    def locate(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Located]:
        """Locate the answer to each question. After an unreadable answer, a question is asked once more.

        Args:
            images: one image per question.
            questions: questions of the user.

        Raises:
            EarthReasonError: the server refuses the requests, or stays unreachable.
        """

        async def everything() -> list[Located]:
            async with ModelClient(self.config, load_prices(), self.refused) as client:
                pairs = zip(images, questions, strict=True)
                return await asyncio.gather(*(self._ask(client, *pair) for pair in pairs))

        return asyncio.run(everything())

    async def _ask(self, client: ModelClient, image: Image.Image, question: str) -> Located:
        size = self.profile.sent_size(image.width, image.height)
        sent = image if size == image.size else image.convert("RGB").resize(size, Image.Resampling.BICUBIC)

        def read(text: str) -> Grounding:
            return Grounding(targets=place(read_answer(text, self.profile.y_first), self.profile, *size))

        url, text = embed_image(sent), write_prompt(question, self.profile, *size)
        given = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        parameters = {name: value for name, value in given.items() if value is not None}
        request = Request(
            text, ("image",), Grounding, self.model, parameters, read=read, structured=not self.profile.tagged
        )
        key = hashlib.sha256(f"{request.identity()}{url}".encode()).hexdigest()
        heard: list[dict[str, Any]] = []
        targets, failure = [], None
        try:
            answer, _ = await client.ask(request, [url], key, heard)
            targets = answer.targets
        except UnusableAnswerError as error:
            if not error.lasting:  # the server failed, not the model
                raise EarthReasonError(str(error)) from None
            failure = str(error)
        return Located(targets, failure, self._transcript(text, size, heard))

    def _transcript(self, prompt: str, size: tuple[int, int], heard: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "prompt": prompt,
            "sent_size": list(size),
            "refused_parameters": sorted(self.refused.get(self.model, ())),
            "replies": [{name: completion.get(name) for name in ("model", "choices", "usage")} for completion in heard],
        }
