"""Ask a model questions about images, in batches that fit into memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.plurals import count_of

from .generation import REPLY_MODES, known_reply, write_masks
from .modeling import ReasoningModel
from .processes import picture_threads, prefetch
from .processing import Processor
from .prompt import TASKS, Task

logger = logging.getLogger("earthreason.baselines")
Picture = Image.Image | np.ndarray
"""A picture, or its pixels (height, width, 3) uint8."""
Output = tuple[Tensor, Tensor | None, str | None]
"""Mask logits (S/4, S/4), presence logit, and reply of one question."""


@dataclass(frozen=True)
class Batch:
    """Model inputs of some questions, on the CPU.

    Attributes:
        pixels: (images, 3, S, S) uint8, each image once.
        rows: (questions,) int64, index of each question's image.
        text: result of the processor's `pad`.
    """

    pixels: Tensor
    rows: Tensor
    text: dict[str, Tensor]


M = TypeVar("M", bound=ReasoningModel)


class BatchedModel(Generic[M]):
    """A model and its processor, asked in batches."""

    def __init__(
        self,
        model: M,
        processor: Processor,
        batch_size: int = 8,
        task: str | None = None,
        compiled: bool = False,
        reply: str = REPLY_MODES[0],
    ) -> None:
        """Wrap a model; the arguments are those of `MaskPredictor`.

        Raises:
            EarthReasonError: the task or kind of reply is unknown, or the model writes no mask tokens.
        """
        self.model: M = model.eval()
        self.processor, self.task = processor, known_task(task or getattr(model.config, "task", None) or TASKS[0])
        model.config.task = self.task  # PSALM merges masks by it
        self.batch_size = batch_size
        self.reply = known_reply(reply, model, compiled)
        self.compiled = compiled
        self._ask = torch.compile(self._ask_plainly) if compiled else self._ask_plainly

    def logits(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield mask logits (S/4, S/4) and presence logit of each image and question, on the model's device.

        Raises:
            EarthReasonError: the numbers differ, a question or image is unusable, or a single image exceeds memory.
        """
        return ((logits, presence) for logits, presence, _ in self._outputs(images, questions))

    def _outputs(self, images: Sequence[Picture], questions: Sequence[str], together: int = 1) -> Iterator[Output]:
        """Yield the output of each image and question; `together` that follow each other are never separated."""
        if len(images) != len(questions):
            given = f"{count_of(len(images), 'image')} but {count_of(len(questions), 'question')}"
            raise EarthReasonError(f"{given}; give one question per image")
        size = max(1, together) * max(1, self.batch_size // max(1, together))
        parts = [slice(start, start + size) for start in range(0, len(images), size)]
        threads = picture_threads()
        prepared = prefetch(lambda part: self._prepare(images[part], questions[part]), parts, 2 * threads, threads)
        before: list[Output] = []
        for part, batch in zip(parts, prepared, strict=True):
            # The device computes this batch while the caller turns the previous logits into masks.
            output = self._forward_or_halve(images[part], questions[part], together, batch)
            yield from before
            before = output
        yield from before

    def _prepare(self, images: Sequence[Picture], questions: Sequence[str]) -> Batch:
        prompts = [self.processor.prompt(question, self.task) for question in questions]
        unique = {id(image): image for image in images}  # several questions about one image share its features
        row_of = {key: row for row, key in enumerate(unique)}
        pixels = self.processor.pixels(list(unique.values()))
        if self.model.device.type == "cuda":
            pixels = pixels.pin_memory()
        return Batch(pixels, torch.tensor([row_of[id(image)] for image in images]), self.processor.pad(prompts))

    def _forward_or_halve(
        self, images: Sequence[Picture], questions: Sequence[str], together: int, batch: Batch
    ) -> list[Output]:
        if len(batch.pixels) > 1 and len(images) > self.batch_size:  # an earlier batch of this call ran out of memory
            return list(self._outputs(images, questions, together))
        try:
            logits, presence, texts = self._forward(batch)
            return list(zip(logits, [None] * len(logits) if presence is None else presence, texts, strict=True))
        except torch.OutOfMemoryError:
            asked = min(len(images), self.batch_size)
            if asked == 1:
                remedy = "try --dtype bfloat16, or another --device"
                raise EarthReasonError(f"one image does not fit in the device's memory; {remedy}") from None
            self.batch_size = max(1, asked // 2)
            logger.warning("out of memory; continuing with batches of %d", self.batch_size)
        # Outside the handler, whose traceback holds the tensors of the failed batch.
        torch.cuda.empty_cache()
        return list(self._outputs(images, questions, together))

    @torch.inference_mode()
    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor | None, Sequence[str | None]]:
        device = self.model.device
        pixels, rows = batch.pixels.to(device, non_blocking=True), batch.rows.to(device)
        if self.reply == "generated":
            return self._write(pixels, rows, batch.text)
        names = ("input_ids", "attention_mask", "question_mask")
        text = {name: batch.text[name].to(device, non_blocking=True) for name in names}
        if self.compiled:
            for tensor in text.values():
                torch._dynamo.maybe_mark_dynamic(tensor, 1)  # compile once for texts of any length
        alone = len(pixels) == len(rows) <= self.batch_size
        logits, presence = self._ask(pixels, None if alone else rows, text)
        return logits, presence, [None] * len(logits)

    def _ask_plainly(
        self, pixels: Tensor, rows: Tensor | None, text: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        model = cast(Any, self.model)
        features = model.encode_image(pixels)
        if rows is None:
            output = model(image=features, **text)
            return output.mask_logits, output.presence_logits
        output = [
            model(image=features.select(rows[part]), **{name: tensor[part] for name, tensor in text.items()})
            for part in self._parts(len(rows))
        ]
        return _joined([each.mask_logits for each in output], [each.presence_logits for each in output])

    def _write(self, pixels: Tensor, rows: Tensor, text: dict[str, Tensor]) -> tuple[Tensor, Tensor | None, list[str]]:
        model = cast(Any, self.model)
        features = model.encode_image(pixels)
        written = [
            write_masks(
                model, self.processor, features.select(rows[part]), {name: each[part] for name, each in text.items()}
            )
            for part in self._parts(len(rows))
        ]
        logits, presence = _joined([each[0] for each in written], [each[1] for each in written])
        return logits, presence, [reply for each in written for reply in each[2]]

    def _parts(self, count: int) -> list[slice]:
        """Split questions into batches."""
        return [slice(start, start + self.batch_size) for start in range(0, count, self.batch_size)]


def known_task(name: str) -> Task:
    """Return the task of a name.

    Raises:
        UnknownNameError: there is no such task.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return name


def _joined(logits: list[Tensor], presence: list[Tensor | None]) -> tuple[Tensor, Tensor | None]:
    has_head = [each for each in presence if each is not None]
    return torch.cat(logits), torch.cat(has_head) if has_head else None
