"""Turn images and questions into inputs of `SegEarthR1Model`."""

from __future__ import annotations

from ..common.processing import Processor
from ..common.prompt import Task, TokenPrompt
from .prompt import write_prompt


class SegEarthR1Processor(Processor):
    """Writes the published prompt, whose question ends in `[SEG]`."""

    def write(self, question: str, task: Task, answer: str | None, reply: bool) -> TokenPrompt:
        return write_prompt(self.tokenizer, question, self.visual_tokens, self.token_ids[0], task, answer, reply)
