"""Questions and answers that the published LISA and PixelLM models were trained with; their grammar stays as it is.

Source: utils/utils.py, utils/dataset.py and utils/reason_seg_dataset.py of github.com/dvlab-research/LISA (3cb2d430),
which github.com/MaverickRen/PixelLM (ebf07922) has too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zlib import crc32

from .prompt import NO_TARGET_ANSWER, Task

Wording = Literal["own", "published"]
"""`own` is the conversation of `DialogueProcessor`, `published` the one of the public code."""

SENTENCE_QUESTIONS = (
    "\n{question} Please respond with segmentation mask.",
    "\n{question} Please output segmentation mask.",
)
PHRASE_QUESTIONS = (
    "\nCan you segment the {question} in this image?",
    "\nPlease segment the {question} in this image.",
    "\nWhat is {question} in this image? Please respond with segmentation mask.",
    "\nWhat is {question} in this image? Please output segmentation mask.",
)
EXPLANATION_REQUESTS = (
    "\n{question} Please output segmentation mask and explain why.",
    "\n{question} Please output segmentation mask and explain the reason.",
    "\n{question} Please output segmentation mask and give some explanation.",
)
OPENINGS = ("It is ", "Sure, ", "Sure, it is ", "Sure, the segmentation result is ", "")
VALIDATION_QUESTIONS: dict[Task, str] = {
    "reasoning": "\n {question} Please output segmentation mask.",
    "referring": "\n What is {question} in this image? Please output segmentation mask.",
}
"""Questions of the published scores; the answer starts with the mask tokens. The training questions have no space."""


@dataclass(frozen=True)
class Turn:
    """One question and its answer.

    Attributes:
        message: what the user writes after the image.
        opening: answer before the mask tokens.
        closing: answer after the mask tokens; None for prediction, where it is not needed.
    """

    message: str
    opening: str
    closing: str | None


def ask(question: str, task: Task) -> Turn:
    """Ask as the public code does when it scores."""
    return Turn(VALIDATION_QUESTIONS[task].format(question=_plain(question, task)), "", None)


def teach(question: str, task: Task, answer: str | None) -> Turn:
    """Choose a question and an answer to train with.

    The public code draws them anew each time. Here they depend on the texts only, so that a resumed run repeats them.
    Half of the answers to implicit questions explain the mask, as for the images of ReasonSeg with explanations.
    """
    number = crc32(f"{question}\n{answer}".encode())
    number, opening = divmod(number, len(OPENINGS))
    number, explained = divmod(number, 2)
    explains = task == "reasoning" and explained == 1
    templates = PHRASE_QUESTIONS if task == "referring" else EXPLANATION_REQUESTS if explains else SENTENCE_QUESTIONS
    message = templates[number % len(templates)].format(question=_plain(question, task))
    return Turn(message, OPENINGS[opening], f". {answer or NO_TARGET_ANSWER}" if explains else ".")


def _plain(question: str, task: Task) -> str:
    return question.lower() if task == "referring" else question
