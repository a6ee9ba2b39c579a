"""Turn images and questions into model inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from earthreason.errors import EarthReasonError
from earthreason.masks.grids import Grid
from earthreason.torch import letterbox_pixels, rgb_tensor

from .llava import IMAGE_MARKS, write_conversation
from .prompt import IGNORE, IMAGE_ID, NO_TARGET_ANSWER, Piece, Task, TokenPrompt, join_pieces, plain_ids
from .weights import tokenizer_reason
from .wording import Wording, ask, teach

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SEG, PAD = "[SEG]", "[PAD]"


def add_tokens(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str] = (SEG,)) -> list[int]:
    """Add `tokens`, and `[PAD]` if there is no padding token, to a tokenizer; return the ids of `tokens`."""
    if tokenizer.pad_token is None:
        tokenizer.add_special_tokens({"pad_token": PAD})
    known = tokenizer.get_vocab()
    tokenizer.add_tokens([token for token in tokens if token not in known])
    return [int(tokenizer.get_vocab()[token]) for token in tokens]


def require_tokens(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str], model: str) -> None:
    """Raise `EarthReasonError` if a tokenizer lacks a token that the prompts of `model` use."""
    vocabulary = tokenizer.get_vocab()
    if lacking := [token for token in tokens if token not in vocabulary]:
        raise EarthReasonError(f"the tokenizer has no {lacking[0]} token; is it that of a {model} checkpoint?")


def start_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return what the tokenizer puts before a text: its start token for LLaMA, nothing for GPT-2 and Phi."""
    start = tokenizer.bos_token_id
    return [] if start is None else [token for token in tokenizer("")["input_ids"][:1] if token == start]


def _started(prompt: TokenPrompt, start: Sequence[int]) -> TokenPrompt:
    return TokenPrompt(
        [*start, *prompt.input_ids],
        [*[False for _ in start], *prompt.question],
        [*[IGNORE for _ in start], *prompt.labels],
    )


class Processor(ABC):
    """Letterboxes images and tokenizes prompts. Saved and loaded with its tokenizer, as in transformers."""

    tokens: ClassVar[tuple[str, ...]] = (SEG,)
    """Added tokens that the tokenizer must have."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, image_size: int, visual_tokens: int, max_length: int = 2048
    ) -> None:
        """Wrap a tokenizer that knows `tokens`.

        Args:
            tokenizer: tokenizer of the language model.
            image_size: side of the canvas in pixels.
            visual_tokens: visual tokens per image.
            max_length: maximum sequence length of the language model.

        Raises:
            EarthReasonError: the tokenizer lacks one of `tokens`, or a padding token.
        """
        require_tokens(tokenizer, self.tokens, type(self).__name__.removesuffix("Processor"))
        if tokenizer.pad_token_id is None:
            raise EarthReasonError("the tokenizer has no padding token")
        self.tokenizer = tokenizer
        self.image_size, self.visual_tokens, self.max_length = image_size, visual_tokens, max_length
        self.token_ids = [int(tokenizer.get_vocab()[token]) for token in self.tokens]
        self.added_ids = self.token_ids  # of all tokens whose embeddings are not pretrained
        self.start = start_ids(tokenizer)

    @classmethod
    def for_model(cls, config: Any, tokenizer: PreTrainedTokenizerBase) -> Self:
        """Make the processor of a model from its configuration."""
        longest = getattr(config.text_config, "max_position_embeddings", 2048)
        return cls(tokenizer, config.image_size, config.visual_tokens, longest)

    @classmethod
    def from_pretrained(cls, folder: str | Path, config: Any = None, **_: Any) -> Self:
        """Load the processor of a checkpoint.

        Args:
            folder: folder or Hub id.
            config: configuration of the model; None reads that of the checkpoint, if the module `auto` was imported.
            **_: what transformers' AutoProcessor passes besides.

        Raises:
            EarthReasonError: the tokenizer cannot be loaded, or lacks one of `tokens`.
        """
        if config is None:
            from transformers import AutoConfig

            config = AutoConfig.from_pretrained(folder)
        return cls.for_model(config, cls.load_tokenizer(folder, config))

    @staticmethod
    def load_tokenizer(folder: str | Path, config: Any = None) -> PreTrainedTokenizerBase:
        """Load a tokenizer.

        Args:
            folder: folder or Hub id.
            config: configuration of the model; prevents a warning if transformers does not know the model type.

        Raises:
            EarthReasonError: the tokenizer cannot be loaded.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, config=config)
        except (OSError, ValueError, ImportError) as error:
            raise EarthReasonError(f"{folder}: no tokenizer can be loaded: {tokenizer_reason(error)}") from None
        return tokenizer

    def save_pretrained(self, folder: str | Path) -> None:
        """Save the tokenizer; other settings are in the model's configuration."""
        self.tokenizer.save_pretrained(folder)

    @abstractmethod
    def write(self, question: str, task: Task, answer: str | None, reply: bool) -> TokenPrompt:
        """Write the prompt of a question that has no line breaks, without `start`; see `prompt`."""

    def ids(self, text: str) -> list[int]:
        """Tokenize a text without special tokens; control tokens in it stay text."""
        return plain_ids(self.tokenizer, text)

    def pixels(self, images: Sequence[Image.Image | np.ndarray]) -> Tensor:
        """Letterbox images, or their pixels (H, W, 3) uint8, to (B, 3, S, S) uint8.

        There is a fourth channel if the model's padding is marked.
        """
        read = [
            torch.from_numpy(np.array(each)).permute(2, 0, 1) if isinstance(each, np.ndarray) else rgb_tensor(each)
            for each in images
        ]
        side = self.image_size
        return torch.stack([self.mark_padding(letterbox_pixels(each, side), *each.shape[1:]) for each in read])

    def mark_padding(self, canvas: Tensor, height: int, width: int) -> Tensor:
        """Return the canvas (3, S, S) of a (height, width) image, as it is or with a channel that marks its padding."""
        return canvas

    def prompt(
        self, question: str, task: Task = "reasoning", answer: str | None = None, reply: bool = False
    ) -> TokenPrompt:
        """Write the prompt of one question.

        Args:
            question: question of the user.
            task: kind of question, which sets the wording.
            answer: answer in the reply; None means that there is no target.
            reply: append the reply, for training.

        Raises:
            EarthReasonError: the question is empty, or question or answer are too long.
        """
        text = " ".join(question.split())
        if not text:
            raise EarthReasonError("the question is empty; ask something")
        if any("\ud800" <= character <= "\udfff" for character in question):
            raise EarthReasonError(f"the question {question!r} is not Unicode text; write it in UTF-8")
        prompt = _started(self.write(text, task, answer, reply), self.start)
        if len(prompt) > self.max_length:
            fits = len(self.start) + len(self.write(text, task, None, reply=False)) <= self.max_length
            what, long = ("answer", answer) if reply and answer and fits else ("question", text)
            raise EarthReasonError(
                f"the {what} has {len(self.ids(long))} tokens, {len(prompt) - self.max_length} more than fit beside "
                f"the image in the language model's {self.max_length}; shorten it: {long[:60]!r}..."
            )
        return prompt

    def pad(self, prompts: Sequence[TokenPrompt], multiple: int = 1) -> dict[str, Tensor]:
        """Pad prompts on the right to one batch: input_ids, attention_mask, question_mask, labels, all (B, L).

        `learned` (B, K) int64 has the positions before a label, for `language_loss`; rows with fewer labels are filled
        up with L - 1, which predicts nothing. L and K are multiples of `multiple`.
        """
        length = _up(max(len(prompt) for prompt in prompts), multiple)
        learned = [[n for n, label in enumerate(p.labels[1:]) if label != IGNORE] for p in prompts]
        most = _up(max(len(row) for row in learned), multiple)

        def filled(rows: Sequence[Sequence[int]], value: int) -> Tensor:
            return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])

        return {
            "input_ids": filled([p.input_ids for p in prompts], int(self.tokenizer.pad_token_id)),
            "attention_mask": filled([[1] * len(p) for p in prompts], 0),
            "question_mask": filled([p.question for p in prompts], 0).bool(),
            "labels": filled([p.labels for p in prompts], IGNORE),
            "learned": torch.tensor([[*row, *[length - 1] * (most - len(row))] for row in learned], dtype=torch.int64),
        }

    def __call__(
        self,
        images: Sequence[Image.Image],
        questions: Sequence[str],
        task: Task = "reasoning",
        answers: Sequence[str | None] | None = None,
    ) -> dict[str, Tensor]:
        """Make a batch for the model; `answers` adds replies and labels, for training."""
        replies = [None] * len(questions) if answers is None else list(answers)
        prompts = [self.prompt(q, task, a, reply=answers is not None) for q, a in zip(questions, replies, strict=True)]
        return {"pixel_values": self.pixels(images), **self.pad(prompts)}


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


_SYSTEM = "A user asks about an image and an assistant answers with words and a mask. USER: "
_REQUEST = "\nAnswer with the segmentation mask. ASSISTANT: "
_OPENING = "It is"
FIXED_TEXTS = (_SYSTEM, _REQUEST, _OPENING, NO_TARGET_ANSWER)


class DialogueProcessor(Processor):
    """Writes a conversation that ends in the mask tokens; with `reply`, the answer in words follows.

    The mask is made from the states that predict the mask tokens, one position before each. As in the papers' own
    evaluation, the tokens are part of the prompt, so every question gets a mask. Both papers pad after normalisation,
    so the padding of each canvas is marked.

    Attributes:
        wording: conversation that the model was trained with.
    """

    wording: Wording = "own"

    @classmethod
    def for_model(cls, config: Any, tokenizer: PreTrainedTokenizerBase) -> Self:
        processor = super().for_model(config, tokenizer)
        processor.wording = config.wording
        if processor.wording == "published":
            kind = cls.__name__.removesuffix("Processor")
            require_tokens(tokenizer, (*IMAGE_MARKS, tokenizer.bos_token or "start"), kind)
            known = tokenizer.get_vocab()
            processor.start = [int(tokenizer.bos_token_id)]
            processor.added_ids = [*processor.token_ids, *(int(known[mark]) for mark in IMAGE_MARKS)]
        return processor

    def mark_padding(self, canvas: Tensor, height: int, width: int) -> Tensor:
        """Add a channel to the canvas (3, S, S) of a (height, width) image: 255 on the image, 0 on its padding."""
        grid = Grid("letterbox", self.image_size)
        rows, columns = (max(1, length) for length in grid.resized_shape(height, width))
        top, left = grid.padding(height, width)
        picture = torch.zeros_like(canvas[:1])
        picture[:, top : top + rows, left : left + columns] = 255
        return torch.cat([canvas, picture])  # (4, S, S)

    def write(self, question: str, task: Task, answer: str | None, reply: bool) -> TokenPrompt:
        if self.wording == "published":
            turn = teach(question, task, answer) if reply else ask(question, task)
            return shifted(
                write_conversation(
                    self.tokenizer, self.visual_tokens, turn.message, turn.opening, self.token_ids, turn.closing
                )
            )
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


def shifted(prompt: TokenPrompt) -> TokenPrompt:
    """Move the selected positions one to the left."""
    return TokenPrompt(prompt.input_ids, [*prompt.question[1:], False], prompt.labels)
