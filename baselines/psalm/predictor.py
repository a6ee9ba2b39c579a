"""PSALM as a Predictor: images and questions in, masks out."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerBase

from ..common.predictor import MaskPredictor
from ..common.processing import Processor
from ..common.prompt import IMAGE_ID, Piece, Task, TokenPrompt, join_pieces
from ..segearth_r1.prompt import BEFORE_IMAGE, INSTRUCTION
from .modeling import QUERY_ID, PsalmModel

_BEFORE_QUESTION = INSTRUCTION.format(task="Referring")
_REPLY = " [/INST] \nSure, the segmentation result is "
FIXED_TEXTS = (BEFORE_IMAGE, _BEFORE_QUESTION, _REPLY)


class PsalmProcessor(Processor):
    """Writes the published prompt for referring expressions, up to the mask queries, after which nothing is read.

    The condition is the question and the `[SEG]` that ends it.
    """

    queries = 100

    @classmethod
    def for_model(cls, config: Any, tokenizer: PreTrainedTokenizerBase) -> PsalmProcessor:
        """Make the processor of a model from its configuration."""
        processor = super().for_model(config, tokenizer)
        processor.queries = config.queries
        return processor

    def write(self, question: str, task: Task, answer: str | None, reply: bool) -> TokenPrompt:
        stop = "" if question[-1] in ".?!" else "."  # the published code ends every expression with a full stop
        pieces = [
            Piece(self.ids(BEFORE_IMAGE)),
            Piece([IMAGE_ID] * self.visual_tokens),
            Piece(self.ids(_BEFORE_QUESTION)),
            Piece([*self.ids(f" {question}{stop}"), *self.token_ids], is_question=True),
            Piece(self.ids(_REPLY)),
            Piece([QUERY_ID] * self.queries),
        ]
        return join_pieces(pieces)


class PsalmPredictor(MaskPredictor[PsalmModel]):
    """PSALM as a Predictor."""

    model_class = PsalmModel
    processor_class = PsalmProcessor
