"""Conversation of LLaVA v1 about one image, token for token as LISA and PixelLM train and ask with it.

Texts: `conv_llava_v1` in model/llava/conversation.py and `tokenizer_image_token` in model/llava/mm_utils.py of
github.com/dvlab-research/LISA (commit 3cb2d430).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .prompt import IMAGE_ID, Piece, TokenPrompt, join_pieces, plain_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IMAGE_MARKS = ("<im_start>", "<im_end>")
"""Control tokens around the image, which both papers add after their mask tokens."""
_SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the human's questions. USER: "
)
_TURN = " ASSISTANT: "


def segment_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Tokenize the text between two added tokens.

    The slow LLaMA tokenizer of transformers 4.31, which both papers pin, removes white space next to an added token.
    So the line break and the space that the papers write between image and question never reach their models.
    """
    stripped = text.strip()
    return plain_ids(tokenizer, stripped) if stripped else []


def write_conversation(
    tokenizer: PreTrainedTokenizerBase,
    visual_tokens: int,
    message: str,
    opening: str,
    mask_tokens: Sequence[int],
    closing: str | None,
) -> TokenPrompt:
    """Write a question about an image and its answer, without the token for the start of a text.

    Args:
        tokenizer: tokenizer with `IMAGE_MARKS`.
        visual_tokens: number of visual tokens of the image.
        message: what the user writes after the image.
        opening: answer before the mask tokens.
        mask_tokens: ids of the mask tokens, which are marked as the question.
        closing: answer after the mask tokens, which ends the text; None stops at the mask tokens, for prediction.
    """
    start, end = (tokenizer.get_vocab()[mark] for mark in IMAGE_MARKS)
    pieces = [
        Piece(segment_ids(tokenizer, _SYSTEM)),
        Piece([start, *[IMAGE_ID] * visual_tokens, end]),
        Piece(segment_ids(tokenizer, message + _TURN)),
        Piece(segment_ids(tokenizer, opening), learned=True),
        Piece(mask_tokens, is_question=True, learned=True),
    ]
    if closing is not None:
        pieces.append(Piece([*segment_ids(tokenizer, closing), int(tokenizer.eos_token_id)], learned=True))
    return join_pieces(pieces)
