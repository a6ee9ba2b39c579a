"""LISA as a Predictor: images and questions in, masks out."""

from __future__ import annotations

from typing import Any, Self

from transformers import PreTrainedTokenizerBase

from baselines.common.clip_sam import IMAGE_MARKS
from baselines.common.llava import write_conversation
from baselines.common.predictor import MaskPredictor
from baselines.common.processing import DialogueProcessor, require_tokens, shifted
from baselines.common.prompt import Task, TokenPrompt
from baselines.lisa.modeling import LisaModel
from baselines.lisa.prompt import Wording, ask, teach


class LisaProcessor(DialogueProcessor):
    """Writes conversations with one `[SEG]`, in the wording of the model."""

    wording: Wording = "own"

    @classmethod
    def for_model(cls, config: Any, tokenizer: PreTrainedTokenizerBase) -> Self:
        processor = super().for_model(config, tokenizer)
        processor.wording = config.wording
        if processor.wording == "published":
            require_tokens(tokenizer, (*IMAGE_MARKS, tokenizer.bos_token or "start"), "LISA")
            processor.start = [int(tokenizer.bos_token_id)]
            processor.added_ids = [*processor.token_ids, *(int(tokenizer.get_vocab()[mark]) for mark in IMAGE_MARKS)]
        return processor

    def write(self, question: str, task: Task, answer: str | None, reply: bool) -> TokenPrompt:
        if self.wording == "own":
            return super().write(question, task, answer, reply)
        turn = teach(question, task, answer) if reply else ask(question, task)
        written = write_conversation(
            self.tokenizer, self.visual_tokens, turn.message, turn.opening, self.token_ids, turn.closing
        )
        return shifted(written)


class LisaPredictor(MaskPredictor[LisaModel]):
    """LISA as a Predictor."""

    model_class = LisaModel
    processor_class = LisaProcessor
