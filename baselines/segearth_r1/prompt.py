"""The text around a question, and the token ids the model was trained on.

The grammar of the templates is part of the trained interface, so it is kept as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from baselines.common.prompt import IMAGE_ID, NO_TARGET_ANSWER, Piece, Task, Tokenizer, TokenPrompt, join_pieces

END = "<|endoftext|>"

_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
_BEFORE_IMAGE = f"[INST] <<SYS>>\n{_SYSTEM}\n<</SYS>>\n\nThis is an image "
_INSTRUCTION = ", Please doing {task} Segmentation according to the following instruction:\n"
_AFTER_QUESTION = " [/INST]"
_REPLIES: dict[Task, tuple[str, str, str]] = {
    "reasoning": (" Sure, It is ", ". \n", f". {END}"),
    "referring": (" \nSure. It is ", "", f".  {END}"),
}
"""The reply up to the mask (which takes no token), from there to the answer, and its end."""


def write_prompt(
    tokenizer: Tokenizer,
    question: str,
    visual_tokens: int,
    seg_token_id: int,
    task: Task = "reasoning",
    answer: str | None = None,
    reply: bool = False,
) -> TokenPrompt:
    """The prompt of one question.

    Args:
        tokenizer: of the language model.
        question: as the user asks it; it is put behind one space.
        visual_tokens: how many the connector makes of an image.
        seg_token_id: id of `[SEG]`.
        task: the model was trained with one word for implicit and another for referring questions.
        answer: what the reply says; only implicit questions have one. None means that there is no target.
        reply: append the reply, as in training. The mask does not depend on it, so prediction leaves it out.
    """

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    word = "Reasoning" if task == "reasoning" else "Referring"
    pieces = [
        Piece(ids(_BEFORE_IMAGE)),
        Piece([IMAGE_ID] * visual_tokens),
        Piece(ids(_INSTRUCTION.format(task=word))),
        Piece([*ids(f" {question}"), seg_token_id], is_question=True),
    ]
    if reply:
        pieces += _reply_pieces(ids, task, answer, seg_token_id)
    return join_pieces(pieces)


def fixed_texts(task: Task = "reasoning") -> list[str]:
    """What every prompt consists of, for tokenizers that are learned."""
    opening, between, end = _REPLIES[task]
    word = "Reasoning" if task == "reasoning" else "Referring"
    return [_BEFORE_IMAGE, _INSTRUCTION.format(task=word), _AFTER_QUESTION + opening, between + end, NO_TARGET_ANSWER]


def open_reply(tokenizer: Tokenizer, task: Task = "reasoning") -> list[int]:
    """Ids from the end of the question to where the answer begins."""
    opening, between, _ = _REPLIES[task]
    pieces = (_AFTER_QUESTION, opening, between)
    return [token for text in pieces for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


def _reply_pieces(ids: Callable[[str], list[int]], task: Task, answer: str | None, seg_token_id: int) -> list[Piece]:
    opening, between, end = _REPLIES[task]
    said = [*ids(answer or NO_TARGET_ANSWER), seg_token_id] if task == "reasoning" else []
    return [
        Piece(ids(_AFTER_QUESTION)),
        *(Piece(part, learned=task == "reasoning") for part in (ids(opening), ids(between), said, ids(end))),
    ]
