"""The conversation of LISA and of PixelLM: the question asks for the mask, the reply says the tokens that make it."""

from __future__ import annotations

from collections.abc import Sequence

from baselines.common.prompt import IMAGE_ID, NO_TARGET_ANSWER, Piece, Prompt, join_pieces

_SYSTEM = "A user asks about an image and an assistant answers with words and a mask. USER: "
_REQUEST = "\nAnswer with the segmentation mask. ASSISTANT: "
_OPENING = "It is"
FIXED_TEXTS = (_SYSTEM, _REQUEST, _OPENING, NO_TARGET_ANSWER)


def write_dialogue(
    ids: object, question: str, visual_tokens: int, mask_ids: Sequence[int], answer: str | None, reply: bool, end: int
) -> Prompt:
    """The prompt of one question, up to the tokens that make the mask; with `reply`, the answer in words follows.

    The states that make the mask are those that predict the tokens, one position before each (spec baselines §1a). As
    in the papers' own evaluation the tokens are given, so that every question gets a mask.

    Args:
        ids: text to token ids.
        question: in one line.
        visual_tokens: how many an image has.
        mask_ids: of the tokens that make the mask.
        answer: what is there; None means that there is no target.
        reply: append the answer, as in training.
        end: id of the end token.
    """
    assert callable(ids)
    pieces = [
        Piece(ids(_SYSTEM)),
        Piece([IMAGE_ID] * visual_tokens),
        Piece(ids(f"\n{question}{_REQUEST}")),
        Piece(ids(_OPENING), learned=True),
        Piece(mask_ids, is_question=True, learned=True),
    ]
    if reply:
        pieces.append(Piece([*ids(f". {answer or NO_TARGET_ANSWER}"), end], learned=True))
    return shifted(join_pieces(pieces))


def shifted(prompt: Prompt) -> Prompt:
    """Select the position before every selected one."""
    return Prompt(prompt.input_ids, [*prompt.question[1:], False], prompt.labels)
