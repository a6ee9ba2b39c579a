"""PSALM as a Predictor: images and questions in, masks out."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerBase

from baselines.common.predictor import MaskPredictor
from baselines.common.processing import Processor
from baselines.common.prompt import IMAGE_ID, Piece, Task, TokenPrompt, join_pieces
from baselines.psalm.modeling import QUERY_ID, PsalmModel

_BEFORE, _TASK, _AFTER = "Image: ", "\nMark what answers the question: ", "\nMasks: "
FIXED_TEXTS = (_BEFORE, _TASK, _AFTER)


class PsalmProcessor(Processor):
    """Writes image, question and mask queries, and no reply."""

    tokens = ()
    queries = 100

    @classmethod
    def for_model(cls, config: Any, tokenizer: PreTrainedTokenizerBase) -> PsalmProcessor:
        """Make the processor of a model from its configuration."""
        processor = super().for_model(config, tokenizer)
        processor.queries = config.queries
        return processor

    def write(self, question: str, task: Task, answer: str | None, reply: bool) -> TokenPrompt:
        pieces = [
            Piece(self.ids(_BEFORE)),
            Piece([IMAGE_ID] * self.visual_tokens),
            Piece(self.ids(_TASK)),
            Piece(self.ids(question), is_question=True),
            Piece(self.ids(_AFTER)),
            Piece([QUERY_ID] * self.queries),
        ]
        return join_pieces(pieces)


class PsalmPredictor(MaskPredictor[PsalmModel]):
    """PSALM as a Predictor."""

    model_class = PsalmModel
    processor_class = PsalmProcessor
