"""Prompt templates of the published models.

The models were trained on these texts, so their grammar stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from ..common.prompt import (
    IMAGE_ID,
    NO_TARGET_ANSWER,
    Piece,
    Task,
    Tokenizer,
    TokenPrompt,
    join_pieces,
    plain_ids,
)

END = "<|endoftext|>"

_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
BEFORE_IMAGE = f"[INST] <<SYS>>\n{_SYSTEM}\n<</SYS>>\n\nThis is an image "
INSTRUCTION = ", Please doing {task} Segmentation according to the following instruction:\n"
_AFTER_QUESTION = " [/INST]"
_REPLIES: dict[Task, tuple[str, str, str]] = {
    "reasoning": (" Sure, It is ", ". \n", f". {END}"),
    "referring": (" \nSure. It is ", "", f".  {END}"),
}
"""Text of the reply before the mask (which has no token), between mask and answer, and after the answer."""


def write_prompt(
    tokenizer: Tokenizer,
    question: str,
    visual_tokens: int,
    seg_token_id: int,
    task: Task = "reasoning",
    answer: str | None = None,
    reply: bool = False,
) -> TokenPrompt:
    """Write the prompt of one question.

    Args:
        tokenizer: tokenizer of the language model.
        question: question of the user; a space is put before it.
        visual_tokens: number of visual tokens per image.
        seg_token_id: id of `[SEG]`.
        task: kind of question, which the prompt names.
        answer: answer in the reply, for implicit questions only; None means that there is no target.
        reply: append the reply, for training. The mask does not depend on it, so prediction omits it.
    """

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    word = "Reasoning" if task == "reasoning" else "Referring"
    pieces = [
        Piece(ids(BEFORE_IMAGE)),
        Piece([IMAGE_ID] * visual_tokens),
        Piece(ids(INSTRUCTION.format(task=word))),
        Piece([*plain_ids(tokenizer, f" {question}"), seg_token_id], is_question=True),
    ]
    if reply:
        said = [*plain_ids(tokenizer, answer or NO_TARGET_ANSWER), seg_token_id]
        pieces += _reply_pieces(ids, task, said)
    return join_pieces(pieces)


def fixed_texts(task: Task = "reasoning") -> list[str]:
    """Return the texts that occur in every prompt, for learned tokenizers."""
    opening, between, end = _REPLIES[task]
    word = "Reasoning" if task == "reasoning" else "Referring"
    return [BEFORE_IMAGE, INSTRUCTION.format(task=word), _AFTER_QUESTION + opening, between + end, NO_TARGET_ANSWER]


def open_reply(tokenizer: Tokenizer, task: Task = "reasoning") -> list[int]:
    """Return the ids between question and answer."""
    opening, between, _ = _REPLIES[task]
    pieces = (_AFTER_QUESTION, opening, between)
    return [token for text in pieces for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


def _reply_pieces(ids: Callable[[str], list[int]], task: Task, said: list[int]) -> list[Piece]:
    opening, between, end = _REPLIES[task]
    words = said if task == "reasoning" else []
    return [
        Piece(ids(_AFTER_QUESTION)),
        *(Piece(part, learned=task == "reasoning") for part in (ids(opening), ids(between), words, ids(end))),
    ]
