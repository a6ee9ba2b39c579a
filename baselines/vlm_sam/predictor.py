"""A vision-language model and Segment Anything as a Predictor."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.grounding.prompt import PROMPT_VERSION
from earthreason.questions.servers.client import ClientConfig
from earthreason.types import Answer

from ..registry import PredictorOptions
from .families import choose_profile
from .grounding import Located, Locator
from .masks import Boxes, MaskMaker, load_mask_maker
from .selfcheck import check_profile

logger = logging.getLogger("earthreason.baselines")
_OPENAI = "https://api.openai.com/v1"


class VlmSamPredictor:
    """Asks a vision-language model where the answer is, and makes masks of its boxes and points.

    Attributes:
        prediction_info: settings that identify the model, for the `info` of predictions.
    """

    def __init__(self, locator: Locator, masks: MaskMaker) -> None:
        """Combine a vision-language model and what makes its masks. The first call asks about a test image."""
        self.locator, self.masks = locator, masks
        self._checked = False
        self.prediction_info: dict[str, Any] = {
            "vlm": {
                "model": locator.model,
                "base_url": public_address(locator.config.base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI),
                "coordinates": locator.profile.name,
                "prompt": PROMPT_VERSION,
                "temperature": locator.temperature,
                "max_tokens": locator.max_tokens,
                "masks": masks.name,
            }
        }

    def attempt(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        """Return a mask, "no target" or a failure, with the transcript, for each `questions[i]` on `images[i]`.

        Raises:
            EarthReasonError: the model gives coordinates in another way, or the server refuses the requests.
        """
        if not self._checked:
            check_profile(self.locator)
            self._checked = True
        located = self.locator.locate(images, questions)
        return [self._draw(*pair) for pair in zip(images, located, strict=True)]

    def predict(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[np.ndarray | None]:
        """Return one mask (height, width) bool per question; None for "no target".

        Raises:
            EarthReasonError: an answer cannot be read, or as `attempt`.
        """
        answers = self.attempt(images, questions)
        for question, answer in zip(questions, answers, strict=True):
            if answer.failure is not None:
                raise EarthReasonError(f"{question[:60]!r}: {answer.failure}; `attempt` returns such failures")
        return [answer.mask for answer in answers]

    def _draw(self, image: Image.Image, located: Located) -> Answer:
        transcript = {**located.transcript, "failure": located.failure}
        if located.failure is not None or not located.targets:
            return Answer(None, located.failure, transcript)
        try:
            return Answer(self.masks.draw(image, located.targets), None, transcript)
        except ValueError as error:
            return Answer(None, str(error), {**transcript, "failure": str(error)})


def public_address(address: str) -> str:
    """Return an address without user, password, query and fragment, which may hold keys."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def build(options: PredictorOptions) -> VlmSamPredictor:
    """Build the predictor for the model registry.

    Raises:
        EarthReasonError: `vlm` is not set, its profile is unknown, SAM cannot be loaded, or the device is absent.
    """
    if options.vlm is None:
        raise EarthReasonError("vlm_sam needs --vlm: the name of a vision model at --base-url (default: OpenAI)")
    profile = choose_profile(options.vlm, options.coordinates)
    masks = load_mask_maker(options.checkpoint, options.device, options.dtype)
    if isinstance(masks, Boxes):
        logger.warning("vlm_sam: no --checkpoint of SAM, so the masks are the boxes themselves")
    config = ClientConfig(base_url=options.base_url, concurrency=options.batch_size)
    return VlmSamPredictor(Locator(options.vlm, profile, config, options.temperature, options.max_tokens), masks)
