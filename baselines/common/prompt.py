"""Token ids of a question about an image, independent of the model's template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol, get_args

IMAGE_ID = -200
"""Placeholder for one visual token in `input_ids`; never embedded."""
IGNORE = -100
"""Label of positions without supervision."""
NO_TARGET_ANSWER = "There is no target object in the image."
Task = Literal["reasoning", "referring"]
TASKS: tuple[Task, ...] = get_args(Task)


class Tokenizer(Protocol):
    """Interface of a tokenizer as prompts use it: text to ids."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]: ...

    def get_added_vocab(self) -> dict[str, int]: ...


def plain_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """Tokenize a user's text; what looks like a control token in it, such as `[SEG]`, stays text.

    Added tokens that are only white space, as Phi has, are no control tokens.
    """
    controls = [re.escape(token) for token in tokenizer.get_added_vocab() if token.strip()]
    # A cut after the first character of each control token hides it from the tokenizer.
    cuts = [match.start() + 1 for match in re.finditer(f"(?={'|'.join(controls)})", text)] if controls else []
    parts = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
    return [token for part in parts for token in tokenizer(part, add_special_tokens=False)["input_ids"]]


@dataclass(frozen=True)
class TokenPrompt:
    """Token ids of one question about one image.

    Attributes:
        input_ids: token ids, `IMAGE_ID` for each visual token.
        question: True at positions whose states make the mask: for SegEarth-R1 the question and its `[SEG]`.
        labels: ids to predict, `IGNORE` elsewhere.
    """

    input_ids: list[int]
    question: list[bool]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True)
class Piece:
    """Part of a prompt: its ids, whether its states make the mask, and whether the model learns to predict it."""

    ids: Sequence[int]
    is_question: bool = False
    learned: bool = False


def join_pieces(pieces: Sequence[Piece]) -> TokenPrompt:
    """Concatenate pieces to a prompt."""
    return TokenPrompt(
        [token for piece in pieces for token in piece.ids],
        [piece.is_question for piece in pieces for _ in piece.ids],
        [token if piece.learned else IGNORE for piece in pieces for token in piece.ids],
    )
