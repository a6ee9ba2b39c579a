"""Ask a vision-language model where the answer is."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from itertools import chain

from PIL import Image
from pydantic import BaseModel, Field, model_validator

from earthreason.questions.client import ClientConfig, ModelClient, Request, UnusableAnswerError
from earthreason.questions.pricing import load_prices
from earthreason.reports.page import embed_image

logger = logging.getLogger("earthreason.baselines")
SCALE = 1000
"""Maximum coordinate, at the right and bottom side of the image."""
PROMPT = f"""You see an image taken from above. A question about it follows; find the region that answers it.

Question: {{question}}

If something in the image answers it, set "found" to true, give the tight "box" [left, top, right, bottom] around all
of it, and one to three "points" [x, y] that lie on it. If nothing there answers it, set "found" to false, "box" to
null and "points" to []. Coordinates are integers from 0 to {SCALE}, x to the right, y downwards, of the image."""


class Grounding(BaseModel):
    """Location of the answer, as given by the model."""

    found: bool
    box: list[int] | None = Field(description="left, top, right, bottom")
    points: list[list[int]]

    @model_validator(mode="after")
    def _in_the_image(self) -> Grounding:
        if self.found and self.box is None and not self.points:
            raise ValueError("found needs a box or points")
        if self.box is not None and (len(self.box) != 4 or self.box[0] >= self.box[2] or self.box[1] >= self.box[3]):
            raise ValueError("a box is [left, top, right, bottom] with left < right and top < bottom")
        if any(len(point) != 2 for point in self.points):
            raise ValueError("a point is [x, y]")
        if any(not 0 <= value <= SCALE for value in chain(self.box or [], *self.points)):
            raise ValueError(f"coordinates must be between 0 and {SCALE}")
        return self


def ask_where(
    images: Sequence[Image.Image], questions: Sequence[str], model: str, config: ClientConfig
) -> list[Grounding | None]:
    """Locate the answer to each question; None, with a warning, after two unusable answers.

    Args:
        images: one image per question.
        questions: questions of the user.
        model: name of the model on the server.
        config: settings of the connection.

    Raises:
        EarthReasonError: the server refuses the requests, or stays unreachable.
    """

    async def one(client: ModelClient, image: Image.Image, question: str) -> Grounding | None:
        url = embed_image(image)
        request = Request(PROMPT.format(question=question), ("image",), Grounding, model, {"temperature": 0})
        key = hashlib.sha256(f"{request.identity()}{url}".encode()).hexdigest()
        try:
            answer, _ = await client.ask(request, [url], key)
        except UnusableAnswerError as error:
            logger.warning("%r: counted as 'no target': %s", question[:60], error)
            return None
        assert isinstance(answer, Grounding)
        return answer

    async def everything() -> list[Grounding | None]:
        async with ModelClient(config, load_prices()) as client:
            return await asyncio.gather(*(one(client, *pair) for pair in zip(images, questions, strict=True)))

    return asyncio.run(everything())
