"""Wrap a model as a Predictor: images and questions in, masks out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedConfig

from baselines.common.devices import DTYPES, find_device
from baselines.common.modeling import ReasoningModel
from baselines.common.processes import picture_threads, prefetch
from baselines.common.processing import Processor
from baselines.common.prompt import Task
from baselines.registry import PredictorOptions
from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.torch import canvas_logits, restore_logits

logger = logging.getLogger("earthreason.baselines")
NO_TARGET_THRESHOLD = 0.5
"""Threshold of models that were not calibrated."""


@dataclass(frozen=True)
class Segmentation:
    """An answer.

    Attributes:
        mask: bool at the image's size, or on the canvas; None for "no target".
        no_target_score: 1 - the probability of presence; for the published models, which have no head for it,
            1 - the highest pixel probability.
        answer: what the language model says, if it was asked to.
    """

    mask: np.ndarray | None
    no_target_score: float
    answer: str | None = None


@dataclass(frozen=True)
class Batch:
    """What the model needs for some questions, on the CPU.

    Attributes:
        pixels: (images, 3, S, S) uint8, each image once.
        rows: (questions,) the image of every question.
        text: of the processor's `pad`.
    """

    pixels: Tensor
    rows: Tensor
    text: dict[str, Tensor]


M = TypeVar("M", bound=ReasoningModel)


class MaskPredictor(Generic[M]):
    """A model and its processor, ready to answer. A kind of model is a subclass that names its classes.

    Attributes:
        model_class: has `encode_image` (uint8 pixels to what does not depend on the question, with `select`), and is
            called with that as `image` and with the processor's tensors; returns a `MaskOutput`.
        processor_class: that fits it.
    """

    model_class: ClassVar[type[ReasoningModel]]
    processor_class: ClassVar[type[Processor]]

    def __init__(
        self,
        model: M,
        processor: Processor,
        batch_size: int = 8,
        task: Task = "reasoning",
        on_canvas: bool = False,
        min_area: int = 1,
        compiled: bool = False,
        no_target_threshold: float | None = None,
    ) -> None:
        """Wrap a model.

        Args:
            model: on its device, in its dtype.
            processor: that fits it.
            batch_size: questions at a time; halved where the device's memory does not suffice.
            task: `reasoning` for implicit questions, `referring` for expressions.
            on_canvas: give masks on the letterboxed canvas instead of the image's size.
            min_area: masks of fewer pixels are "no target".
            compiled: run through torch.compile: the first batch takes a minute or more, the others less time.
            no_target_threshold: answer "no target" where the no-target score is above it; None takes what the
                checkpoint was calibrated to, or 0.5.

        Raises:
            EarthReasonError: the threshold does not lie between 0 and 1.
        """
        self.model: M = model.eval()
        self.processor, self.task = processor, task
        self.batch_size, self.on_canvas, self.min_area = batch_size, on_canvas, min_area
        calibrated = getattr(model.config, "no_target_threshold", NO_TARGET_THRESHOLD)
        self.no_target_threshold: float = calibrated if no_target_threshold is None else no_target_threshold
        if not 0 <= self.no_target_threshold <= 1:
            raise EarthReasonError(f"no-target threshold {self.no_target_threshold}: has to lie between 0 and 1")
        self.compiled = compiled
        self._ask = torch.compile(self._ask_plainly) if compiled else self._ask_plainly

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        device: str = "cpu",
        dtype: str = "float32",
        batch_size: int = 8,
        compiled: bool = False,
        no_target_threshold: float | None = None,
    ) -> Self:
        """Load a checkpoint in our format: a folder, or a Hub id.

        Raises:
            EarthReasonError: there is none, it is of another kind, or the device is not here; says what to do.
        """
        if dtype not in DTYPES:
            raise UnknownNameError("dtype", dtype, DTYPES)
        place = find_device(device)
        config = cls.read_config(checkpoint)
        try:
            model: Any = cls.model_class.from_pretrained(checkpoint, config=config, dtype=DTYPES[dtype])
            model = model.to(place)
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise EarthReasonError(f"{checkpoint}: cannot be loaded: {str(error).splitlines()[0]}") from None
        processor = cls.processor_class.from_pretrained(checkpoint, config)
        return cls(model, processor, batch_size, compiled=compiled, no_target_threshold=no_target_threshold)

    @classmethod
    def read_config(cls, checkpoint: str | Path) -> PreTrainedConfig:
        """The configuration of a checkpoint in our format.

        Raises:
            EarthReasonError: there is none, or it is of another model; says what to do.
        """
        expected: Any = cls.model_class.config_class
        path = find_config(checkpoint)
        try:
            kind = json.loads(path.read_text()).get("model_type")
        except ValueError as error:
            raise DataNotFoundError(f"{path}: not JSON: {error}") from None
        if kind != expected.model_type:
            raise EarthReasonError(f"{checkpoint} holds a {kind} model, not {expected.model_type}")
        config: PreTrainedConfig = expected.from_pretrained(path.parent)
        return config

    @classmethod
    def build(cls, options: PredictorOptions) -> Self:
        """Entry of the model registry.

        Raises:
            EarthReasonError: no checkpoint was given.
        """
        if options.checkpoint is None:
            name = cls.model_class.config_class.model_type  # type: ignore[union-attr]
            remedy = "a folder made by `python -m baselines train` or `convert`, or a Hub id"
            raise EarthReasonError(f"{name} needs --checkpoint: {remedy}")
        return cls.from_pretrained(
            options.checkpoint,
            options.device,
            options.dtype,
            options.batch_size,
            options.compiled,
            options.no_target_threshold,
        )

    def predict(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[np.ndarray | None]:
        """A mask per pair, None where nothing is the answer."""
        return [found.mask for found in self.segment(images, questions)]

    def segment(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Segmentation]:
        """As `predict`, with scores."""
        found = self.logits(images, questions)
        return [self._finish(logits, presence, image) for (logits, presence), image in zip(found, images, strict=True)]

    def logits(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Logits (S/4, S/4) of every pair and that of presence, in order, on the model's device.

        Raises:
            EarthReasonError: the numbers differ, a question or image is unusable, or one pair is too much for memory.
        """
        if len(images) != len(questions):
            raise EarthReasonError(f"{len(images)} images but {len(questions)} questions; give one each")
        size = self.batch_size
        parts = [slice(start, start + size) for start in range(0, len(images), size)]
        threads = picture_threads()
        prepared = prefetch(lambda part: self._prepare(images[part], questions[part]), parts, 2 * threads, threads)
        before: list[tuple[Tensor, Tensor | None]] = []
        for part, batch in zip(parts, prepared, strict=True):
            # The device computes a batch while the masks of the one before are made of its logits.
            found = self._forward_or_halve(images[part], questions[part], batch)
            yield from before
            before = found
        yield from before

    def segment_tiled(self, image: Image.Image, question: str, tile: int, overlap: float = 0.25) -> Segmentation:
        """Answer a large image by tiles, whose logits are blended where they overlap.

        Each tile is seen alone, so a question about the whole scene ("the largest ...") is better asked untiled.

        Args:
            image: of any size.
            question: asked about every tile.
            tile: side, pixels of the image.
            overlap: share of a tile that it has in common with the next.
        """
        total = torch.zeros(image.height, image.width)
        weight = torch.zeros_like(total)
        boxes = tile_boxes(image.height, image.width, tile, overlap)
        crops = [image.crop((left, top, left + tile, top + tile)) for top, left in boxes]
        seen: list[Tensor] = []
        for (top, left), (logits, presence) in zip(boxes, self.logits(crops, [question] * len(crops)), strict=True):
            height, width = min(tile, image.height - top), min(tile, image.width - left)
            with torch.inference_mode():
                restored = restore_logits(logits, self.processor.image_size, tile, tile)[:height, :width].cpu()
            window = blend_window(tile)[:height, :width]
            total[top : top + height, left : left + width] += restored * window
            weight[top : top + height, left : left + width] += window
            seen += [] if presence is None else [presence]
        return self._decide(total / weight, torch.stack(seen).max() if seen else None)

    def _prepare(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Batch:
        prompts = [self.processor.prompt(question, self.task) for question in questions]
        unique = {id(image): image for image in images}  # several questions about one image share its features
        row_of = {key: row for row, key in enumerate(unique)}
        pixels = self.processor.pixels(list(unique.values()))
        if self.model.device.type == "cuda":
            pixels = pixels.pin_memory()
        return Batch(pixels, torch.tensor([row_of[id(image)] for image in images]), self.processor.pad(prompts))

    def _forward_or_halve(
        self, images: Sequence[Image.Image], questions: Sequence[str], batch: Batch
    ) -> list[tuple[Tensor, Tensor | None]]:
        if len(images) > self.batch_size:  # memory did not suffice for an earlier batch of this call
            return list(self.logits(images, questions))
        try:
            logits, presence = self._forward(batch)
            return list(zip(logits, [None] * len(logits) if presence is None else presence, strict=True))
        except torch.OutOfMemoryError:
            if len(images) == 1:
                remedy = "try --dtype bfloat16, or another --device"
                raise EarthReasonError(f"one image does not fit into the device's memory; {remedy}") from None
            self.batch_size = max(1, len(images) // 2)
            logger.warning("out of memory; going on with batches of %d", self.batch_size)
        # Outside the handler, whose traceback would keep the tensors of the failed batch.
        torch.cuda.empty_cache()
        return list(self.logits(images, questions))

    @torch.inference_mode()
    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        device = self.model.device
        rows = batch.rows.to(device) if len(batch.pixels) < len(batch.rows) else None
        names = ("input_ids", "attention_mask", "question_mask")
        text = {name: batch.text[name].to(device, non_blocking=True) for name in names}
        if self.compiled:
            for tensor in text.values():
                torch._dynamo.maybe_mark_dynamic(tensor, 1)  # texts of any length, compiled once
        return self._ask(batch.pixels.to(device, non_blocking=True), rows, text)

    def _ask_plainly(
        self, pixels: Tensor, rows: Tensor | None, text: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        model = cast(Any, self.model)
        features = model.encode_image(pixels)
        output = model(image=features if rows is None else features.select(rows), **text)
        return output.mask_logits, output.presence_logits

    def _finish(self, logits: Tensor, presence: Tensor | None, image: Image.Image) -> Segmentation:
        side = self.processor.image_size
        with torch.inference_mode():
            if self.on_canvas:
                restored = canvas_logits(logits, side)
            else:
                restored = restore_logits(logits, side, image.height, image.width)
            return self._decide(restored, presence)

    def _decide(self, logits: Tensor, presence: Tensor | None) -> Segmentation:
        mask = (logits > 0).cpu().numpy()
        score = 1 - float((logits.max() if presence is None else presence).sigmoid())
        kept = mask.sum() >= max(1, self.min_area) and score <= self.no_target_threshold
        return Segmentation(mask if kept else None, score)


def tile_boxes(height: int, width: int, tile: int, overlap: float) -> list[tuple[int, int]]:
    """Top and left of tiles that cover an image, the last ones flush with its border."""

    def starts(length: int) -> list[int]:
        last = max(0, length - tile)
        step = max(1, round(tile * (1 - overlap)))
        return [*range(0, last, step), last]

    return [(top, left) for top in starts(height) for left in starts(width)]


def blend_window(tile: int) -> Tensor:
    """Weights (tile, tile) that fall towards the border and never reach 0."""
    ramp = torch.hann_window(tile + 2, periodic=False)[1:-1]
    return ramp[:, None] * ramp[None, :] + 1e-3


def find_config(checkpoint: str | Path) -> Path:
    """The config.json of a checkpoint.

    Raises:
        DataNotFoundError: there is none; says what to do.
    """
    from transformers.utils.hub import cached_file

    folder = Path(checkpoint)
    if folder.exists() and not (folder / "config.json").is_file():
        raise DataNotFoundError(f"{checkpoint} has no config.json; give the folder of a checkpoint")
    try:
        return folder / "config.json" if folder.is_dir() else Path(str(cached_file(str(checkpoint), "config.json")))
    except (OSError, ValueError) as error:
        raise DataNotFoundError(f"there is no checkpoint {checkpoint}: {str(error).splitlines()[0]}") from None
