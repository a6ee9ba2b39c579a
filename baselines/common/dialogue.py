"""The conversation of LISA and of PixelLM: the question asks for the mask, the reply says the tokens that make it."""

from __future__ import annotations

from baselines.common.processing import Processor
from baselines.common.prompt import IMAGE_ID, NO_TARGET_ANSWER, Piece, Prompt, Task, join_pieces

_SYSTEM = "A user asks about an image and an assistant answers with words and a mask. USER: "
_REQUEST = "\nAnswer with the segmentation mask. ASSISTANT: "
_OPENING = "It is"
FIXED_TEXTS = (_SYSTEM, _REQUEST, _OPENING, NO_TARGET_ANSWER)


class DialogueProcessor(Processor):
    """Writes the question up to the tokens that make the mask; with `reply`, the answer in words follows, if any.

    The states that make the mask are those that predict the tokens, one position before each. As in the papers' own
    evaluation the tokens are given, so that every question gets a mask.
    """

    def write(self, question: str, task: Task, answer: str | None, reply: bool) -> Prompt:
        pieces = [
            Piece(self.ids(_SYSTEM)),
            Piece([IMAGE_ID] * self.visual_tokens),
            Piece(self.ids(f"\n{question}{_REQUEST}")),
            Piece(self.ids(_OPENING), learned=True),
            Piece(self.token_ids, is_question=True, learned=True),
        ]
        if reply:
            end = int(self.tokenizer.eos_token_id)
            words = "." if task == "referring" else f". {answer or NO_TARGET_ANSWER}"
            pieces.append(Piece([*self.ids(words), end], learned=True))
        return shifted(join_pieces(pieces))


def shifted(prompt: Prompt) -> Prompt:
    """Select the position before every selected one."""
    return Prompt(prompt.input_ids, [*prompt.question[1:], False], prompt.labels)
