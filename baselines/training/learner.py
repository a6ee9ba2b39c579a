"""A model as the training loop sees it, and the models it knows. A new one is one entry here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torch import Tensor
from transformers import PreTrainedModel

from earthreason.errors import UnknownNameError
from earthreason.torch import Item
from earthreason.types import Predictor

if TYPE_CHECKING:
    from baselines.training.config import TrainConfig

Batch = dict[str, Tensor]
Texts = Callable[[], Sequence[str]]
"""Gives the questions and answers of the training split, for tokenizers that are learned."""


class Learner(Protocol):
    """A model with what is needed to feed it and to keep it.

    Attributes:
        model: called with a batch; returns an output with `loss` and `losses` (by name, weighted).
        image_size: side of the canvas, pixels.
    """

    model: PreTrainedModel
    image_size: int

    def collate(self, items: Sequence[Item]) -> Batch:
        """Items as one batch on the CPU."""
        ...

    def predictor(self, model: PreTrainedModel) -> Predictor:
        """`model`, of the same kind as `self.model`, ready to answer."""
        ...

    def save(self, model: PreTrainedModel, folder: Path) -> None:
        """Write a checkpoint that `python -m baselines predict` loads."""
        ...


LEARNERS = {
    "segearth_r1": "baselines.segearth_r1.learner:build",
}


def build_learner(config: TrainConfig, texts: Texts) -> Learner:
    """The learner of `config.model.name`.

    Raises:
        UnknownNameError: no such model; names the nearest.
        EarthReasonError: its weights cannot be loaded.
    """
    check_learner(config.model.name)
    module, _, function = LEARNERS[config.model.name].partition(":")
    learner: Learner = getattr(import_module(module), function)(config, texts)
    return learner


def check_learner(name: str) -> None:
    """Refuse a name of no model that can be trained.

    Raises:
        UnknownNameError: names the nearest.
    """
    if name not in LEARNERS:
        raise UnknownNameError("model", name, LEARNERS)
