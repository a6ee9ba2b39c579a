"""PSALM as the training loop and the predictor see it."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerBase

from baselines.common.languages import Size, TextPart, Texts
from baselines.common.predictor import MaskPredictor
from baselines.common.processing import Processor
from baselines.common.prompt import IMAGE_ID, Piece, Prompt, Task, join_pieces
from baselines.psalm.modeling import QUERY_ID, PsalmConfig, PsalmModel
from baselines.segearth_r1.tiny import parts_of
from baselines.training.config import TrainConfig
from baselines.training.learner import Learner, assemble

_BEFORE, _TASK, _AFTER = "Image: ", "\nMark what answers the question: ", "\nMasks: "


class PsalmProcessor(Processor):
    """Writes image, question and mask queries; there is no reply."""

    tokens = ()
    queries = 100

    @classmethod
    def for_model(cls, config: Any, tokenizer: PreTrainedTokenizerBase) -> PsalmProcessor:
        """The processor that fits a model."""
        processor = super().for_model(config, tokenizer)
        processor.queries = config.queries
        return processor

    def write(self, question: str, task: Task, answer: str | None, reply: bool) -> Prompt:
        return join_pieces([
            Piece(self.ids(_BEFORE)),
            Piece([IMAGE_ID] * self.visual_tokens),
            Piece(self.ids(_TASK)),
            Piece(self.ids(question), is_question=True),
            Piece(self.ids(_AFTER)),
            Piece([QUERY_ID] * self.queries),
        ])  # fmt: skip


class PsalmPredictor(MaskPredictor[PsalmModel]):
    """PSALM, ready to answer."""

    model_class = PsalmModel
    processor_class = PsalmProcessor


_DEEPER: dict[Size, dict[str, Any]] = {"mini": {}, "tiny": {"vision_depths": (2, 2, 6, 2)}, "small": {}}
"""PSALM has no output layer for words; at `tiny` the image encoder makes up for it, so that all weigh the same."""
_QUERIES: dict[Size, int] = {"mini": 8, "tiny": 16, "small": 32}


def build(config: TrainConfig, texts: Texts) -> Learner:
    """Entry of the learner registry.

    Raises:
        EarthReasonError: the checkpoint or language model cannot be loaded.
    """
    settings = config.model
    changes = {**_DEEPER[settings.size], **settings.architecture.model_dump(exclude_none=True)}

    def configure(text: TextPart) -> PsalmConfig:
        return PsalmConfig(
            queries=_QUERIES[settings.size], text_config=text.config, image_size=settings.image_size,
            **parts_of(settings.size, **changes),
        )  # fmt: skip

    return assemble(config, texts, PsalmPredictor, (_BEFORE, _TASK, _AFTER), configure)
