"""The settings of a run, and what they decide about a sample before any model is asked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from earthreason.data.schema import Record
from earthreason.errors import EarthReasonError
from earthreason.questions.pricing import Prices, describe_unpriced
from earthreason.questions.stages import StageConfig
from earthreason.questions.types import Hints

EMPTY_SHARE = 200 / 5434
"""Share of samples with an empty mask in the official release."""


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Attributes:
        stages: models and prompts of the stages.
        empty_share: share of samples with a target that get questions about something absent instead. Samples with an
            empty mask always do.
        seed: seed for the choice of those samples.
        max_usd: budget in US dollars; no request is sent that could exceed it.
        limit: largest number of samples.
        base_url: address of the model server, where no client says it, as with batches; None means OpenAI.
    """

    stages: StageConfig
    empty_share: float = EMPTY_SHARE
    seed: int = 0
    max_usd: float | None = None
    limit: int | None = None
    base_url: str | None = None

    def check_budget(self, prices: Prices) -> None:
        """Refuse a budget that cannot be kept.

        Raises:
            EarthReasonError: there is a budget, but the model of a stage has no price.
        """
        models = (self.stages.propose, self.stages.rewrite, self.stages.judge)
        unpriced = sorted({model for model in models if model is not None and prices.of(model) is None})
        if self.max_usd is not None and unpriced:
            remedies = "; ".join(map(describe_unpriced, unpriced))
            raise EarthReasonError(f"--max-usd cannot be kept: {remedies}; or leave out --max-usd")


def hints_of(record: Record, config: RunConfig) -> Hints:
    """Collect the hints about a sample, and decide whether its questions are about something absent."""
    number = int.from_bytes(hashlib.sha256(record.sample_id.encode()).digest()[:4], "big")
    drawn = np.random.default_rng([config.seed, number]).random() < config.empty_share
    extra = json.loads(record.extra) if record.extra else {}
    place = extra.get("place") if isinstance(extra.get("place"), str) else None
    return Hints(record.category, record.ground_resolution, place, absent=record.is_empty or bool(drawn))
