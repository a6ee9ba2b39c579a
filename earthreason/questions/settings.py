"""The settings of a run, and what they decide about a sample before any model is asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from earthreason.data.schema import Record
from earthreason.errors import EarthReasonError
from earthreason.questions.prompting.concepts import OFFICIAL
from earthreason.questions.servers.pricing import Prices, describe_unpriced
from earthreason.questions.stages import StageConfig
from earthreason.questions.types import Hints

EMPTY_SHARE = 200 / 5434
"""Share of samples with an empty mask in the official release."""


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Attributes:
        stages: models and prompts of the stages.
        empty_share: share of samples with a target that get questions about something absent instead; None means that
            of the official release, or 0 if no images are sent. Samples with an empty mask always get such questions.
        unseen_empties: whether such questions are asked although no images are sent, so that nobody looks whether the
            thing is absent.
        concepts: what may be absent.
        seed: seed for the choice of those samples.
        max_usd: budget in US dollars; no request is sent that could exceed it.
        limit: largest number of samples.
        base_url: address of the model server, where no client says it, as with batches; None means OpenAI.
    """

    stages: StageConfig
    empty_share: float | None = None
    unseen_empties: bool = False
    concepts: tuple[str, ...] = OFFICIAL
    seed: int = 0
    max_usd: float | None = None
    limit: int | None = None
    base_url: str | None = None

    def __post_init__(self) -> None:
        """Refuse settings that contradict each other.

        Raises:
            EarthReasonError: empty targets without images are asked for, but not by name.
        """
        if self.unseen_empties and self.stages.images:
            raise EarthReasonError("--unseen-empties is only for --no-images: with images, absence is looked for")
        if self.empty_share and not self.can_be_absent:
            raise EarthReasonError(
                f"--empty-share {self.empty_share:g} with --no-images: nobody would look whether what is asked is "
                "absent; leave it out, or add --unseen-empties"
            )

    @property
    def can_be_absent(self) -> bool:
        """Whether questions about something absent are asked at all."""
        return self.stages.images or self.unseen_empties

    @property
    def share(self) -> float:
        """Share of samples with a target that get questions about something absent."""
        if self.empty_share is not None:
            return self.empty_share
        return EMPTY_SHARE if self.can_be_absent else 0.0

    def unpriced(self, prices: Prices) -> list[str]:
        """Return the models in use that have no price, sorted."""
        models = self.stages.models.values()
        return sorted({model for model in models if model is not None and prices.of(model) is None})

    def check_budget(self, prices: Prices) -> None:
        """Refuse a budget that cannot be kept.

        Raises:
            EarthReasonError: there is a budget, but the model of a stage has no price.
        """
        unpriced = self.unpriced(prices)
        if self.max_usd is not None and unpriced:
            remedies = "; ".join(map(describe_unpriced, unpriced))
            raise EarthReasonError(f"--max-usd cannot be kept: {remedies}; or leave out --max-usd")


def hints_of(split: str, record: Record, config: RunConfig) -> Hints:
    """Collect the hints about a sample of a split, and decide whether its questions are about something absent.

    The regions of its target, and what may be absent, are left to be filled in.
    """
    number = int.from_bytes(hashlib.sha256(f"{split}\0{record.sample_id}".encode()).digest()[:4], "big")
    drawn = np.random.default_rng([config.seed, number]).random() < config.share
    extra = json.loads(record.extra) if record.extra else {}
    place = extra.get("place") if isinstance(extra.get("place"), str) else None
    category = None if record.is_empty else record.category  # of an empty target it would be what is absent
    return Hints(category, record.ground_resolution, place, absent=record.is_empty or bool(drawn))
