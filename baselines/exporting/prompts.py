"""The prompt of a checkpoint as plain values: the ids around a question, and which states make the mask."""

from __future__ import annotations

import copy
from typing import Any

from earthreason.errors import EarthReasonError

from ..common.processing import Processor
from ..common.prompt import Task

_QUESTION = "XQZJX"
"""Stands for the question; no prompt has it."""
_FIRST, _LAST = -9001, -9002
"""Ids that stand for the text with the question; two, to tell whether all of its tokens are marked or the last."""


class _Recorder:
    """A tokenizer that gives `_FIRST` and `_LAST` for the text with the question, and keeps that text."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self.seen = tokenizer, ""

    def __call__(self, text: str, **options: Any) -> Any:
        if _QUESTION.lower() not in text.lower():
            return self._tokenizer(text, **options)
        self.seen = text
        return {"input_ids": [_FIRST, _LAST]}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def describe_prompt(processor: Processor, task: Task) -> dict[str, Any]:
    """Return the prompt of a processor as JSON values; `standalone.ExportedModel.prompt` writes prompts from it.

    Raises:
        EarthReasonError: the prompt has another form than ids, the question's text, and ids.
    """
    text, ids, marks = _probe(processor, _QUESTION, task)
    stopped, _, _ = _probe(processor, f"{_QUESTION}?", task)
    small = _QUESTION not in text
    before, asked, after = text.partition(_QUESTION.lower() if small else _QUESTION)
    full_stop = after.startswith(".") and not stopped.partition(f"{asked}?")[2].startswith(".")
    place = ids.index(_FIRST) if _FIRST in ids else -1
    if not asked or place < 0 or ids[place + 1] != _LAST:
        raise EarthReasonError(f"{type(processor).__name__}: its prompt cannot be written as ids around a question")
    kinds = {(False, False): "none", (False, True): "last", (True, True): "all"}
    added = processor.tokenizer.get_added_vocab()
    return {
        "ids_before": ids[:place],
        "before_question": before,
        "after_question": after[1:] if full_stop else after,
        "ids_after": ids[place + 2 :],
        "marks": kinds[(marks[place], marks[place + 1])],
        "marks_after": marks[place + 2 :],
        "small_letters": small,
        "full_stop": full_stop,
        "padding_id": int(processor.tokenizer.pad_token_id),
        "longest": processor.max_length,
        "control_tokens": [token for token in added if token.strip()],
    }


def _probe(processor: Processor, question: str, task: Task) -> tuple[str, list[int], list[bool]]:
    probe = copy.copy(processor)
    recorder: Any = _Recorder(processor.tokenizer)
    probe.tokenizer = recorder
    prompt = probe.prompt(question, task)
    return recorder.seen, prompt.input_ids, prompt.question
