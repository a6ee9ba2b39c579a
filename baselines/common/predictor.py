"""Wrap a model as a Predictor: images and questions in, masks out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedConfig

from baselines.checkpoints import locate_checkpoint, shipped_checkpoints
from baselines.common.devices import DTYPES, find_device
from baselines.common.generation import REPLY_MODES, known_reply, write_masks
from baselines.common.modeling import ReasoningModel
from baselines.common.processes import picture_threads, prefetch
from baselines.common.processing import Processor
from baselines.common.prompt import TASKS, Task
from baselines.common.quantised import load_quantised
from baselines.registry import PredictorOptions
from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.torch import canvas_logits, restore_logits
from earthreason.types import Answer

logger = logging.getLogger("earthreason.baselines")
NO_TARGET_THRESHOLD = 0.5
"""Threshold of models without a calibrated one."""
Output = tuple[Tensor, Tensor | None, str | None]
"""Mask logits (S/4, S/4), presence logit, and reply of one question."""


@dataclass(frozen=True)
class Segmentation:
    """Answer to one question.

    Attributes:
        mask: bool mask at the image's size, or on the canvas; None for "no target".
        no_target_score: 1 - the presence probability; for models without a no-target head, such as the published
            ones, 1 - the highest pixel probability.
        answer: answer of the language model in words, if requested.
    """

    mask: np.ndarray | None
    no_target_score: float
    answer: str | None = None


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


class MaskPredictor(Generic[M]):
    """A model and its processor as a Predictor. Each model has a subclass that names its classes.

    Attributes:
        model_class: class of the model.
        processor_class: class of its processor.
    """

    model_class: ClassVar[type[ReasoningModel]]
    processor_class: ClassVar[type[Processor]]

    def __init__(
        self,
        model: M,
        processor: Processor,
        batch_size: int = 8,
        task: str | None = None,
        on_canvas: bool = False,
        min_area: int = 1,
        compiled: bool = False,
        no_target_threshold: float | None = None,
        reply: str = REPLY_MODES[0],
    ) -> None:
        """Wrap a model.

        Args:
            model: model on its device and in its dtype.
            processor: processor of the model.
            batch_size: questions per batch; halved when the device runs out of memory.
            task: `reasoning` for implicit questions, `referring` for expressions; None takes the one that the
                checkpoint was trained for, or `reasoning`.
            on_canvas: return masks on the letterboxed canvas, padding included, instead of the image's size.
            min_area: masks with fewer pixels become "no target".
            compiled: use torch.compile: the first batch takes a minute or more, later ones less time.
            no_target_threshold: no-target score above which the answer is "no target"; None uses the checkpoint's
                calibrated threshold, or 0.5.
            reply: `forced` puts the mask tokens into the prompt, so there is always a mask; `generated` lets the model
                write its reply, and a reply without them means "no target". For LISA and PixelLM.

        Raises:
            EarthReasonError: the threshold is not between 0 and 1, the task or kind of reply is unknown, or the model
                writes no mask tokens.
        """
        self.model: M = model.eval()
        self.processor, self.task = processor, known_task(task or getattr(model.config, "task", None) or TASKS[0])
        model.config.task = self.task  # PSALM merges masks by it
        self.batch_size, self.on_canvas, self.min_area = batch_size, on_canvas, min_area
        calibrated = getattr(model.config, "no_target_threshold", NO_TARGET_THRESHOLD)
        self.no_target_threshold: float = calibrated if no_target_threshold is None else no_target_threshold
        if not 0 <= self.no_target_threshold <= 1:
            raise EarthReasonError(f"no-target threshold {self.no_target_threshold}: must be between 0 and 1")
        self.reply = known_reply(reply, model, compiled)
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
        task: str | None = None,
        on_canvas: bool = False,
        reply: str = REPLY_MODES[0],
    ) -> Self:
        """Load a checkpoint in our format from a folder, from a Hub id, or a shipped one by name.

        Raises:
            EarthReasonError: the checkpoint is missing or of another model, or the device is not available.
        """
        if dtype not in DTYPES:
            raise UnknownNameError("dtype", dtype, DTYPES)
        place = find_device(device)
        checkpoint = locate_checkpoint(checkpoint)
        config = cls.read_config(checkpoint)
        try:
            if getattr(config, "row_quantised", False):
                model: Any = load_quantised(cls.model_class, checkpoint, config, DTYPES[dtype])
            else:
                model = cls.model_class.from_pretrained(checkpoint, config=config, dtype=DTYPES[dtype])
            model = model.to(place)
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise EarthReasonError(f"{checkpoint}: cannot be loaded: {str(error).splitlines()[0]}") from None
        processor = cls.processor_class.from_pretrained(checkpoint, config)
        return cls(
            model,
            processor,
            batch_size,
            task,
            on_canvas,
            compiled=compiled,
            no_target_threshold=no_target_threshold,
            reply=reply,
        )

    @classmethod
    def read_config(cls, checkpoint: str | Path) -> PreTrainedConfig:
        """Read the configuration of a checkpoint in our format.

        Raises:
            EarthReasonError: the checkpoint is missing or of another model.
        """
        expected: Any = cls.model_class.config_class
        path = find_config(checkpoint)
        try:
            kind = json.loads(path.read_text()).get("model_type")
        except ValueError as error:
            raise DataNotFoundError(f"{path}: not JSON: {error}") from None
        if kind is None and (Path(checkpoint) / "final" / "config.json").is_file():
            raise EarthReasonError(f"{checkpoint} is the folder of a run; give the model in it: {checkpoint}/final")
        if kind != expected.model_type:
            raise EarthReasonError(f"{checkpoint} contains a {kind} model, not {expected.model_type}")
        config: PreTrainedConfig = expected.from_pretrained(path.parent)
        return config

    @classmethod
    def build(cls, options: PredictorOptions) -> Self:
        """Build the predictor for the model registry.

        Raises:
            EarthReasonError: no checkpoint was given.
        """
        if options.checkpoint is None:
            name = cls.model_class.config_class.model_type  # type: ignore[union-attr]
            shipped = [each.name for each in shipped_checkpoints().values() if each.model == name]
            remedy = "a folder made by `python -m baselines train` or `convert`, or a Hub id"
            also = f", or a shipped one: {', '.join(shipped)}" if shipped else ""
            raise EarthReasonError(f"{name} needs --checkpoint: {remedy}{also}")
        return cls.from_pretrained(
            options.checkpoint,
            options.device,
            options.dtype,
            options.batch_size,
            options.compiled,
            options.no_target_threshold,
            options.task,
            options.on_canvas,
            options.reply,
        )

    @property
    def grid(self) -> str:
        """Name of the grid that the masks are on, as `info.grid` of a predictions file states it."""
        return f"letterbox-{self.processor.image_size}" if self.on_canvas else "native"

    def predict(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[np.ndarray | None]:
        """Return one bool mask per image and question, (height, width) or on the canvas; None for "no target"."""
        return [output.mask for output in self.segment(images, questions)]

    def attempt(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Answer]:
        """Return the mask of `predict` for each question, and the reply that the model wrote, if it did."""
        return [Answer(output.mask, text=output.answer) for output in self.segment(images, questions)]

    def segment(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[Segmentation]:
        """Predict masks and no-target scores."""
        output = self._outputs(images, questions)
        return [
            replace(self._finish(logits, presence, image), answer=text)
            for (logits, presence, text), image in zip(output, images, strict=True)
        ]

    def logits(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield mask logits (S/4, S/4) and presence logit of each image and question, on the model's device.

        Raises:
            EarthReasonError: the numbers differ, a question or image is unusable, or a single image exceeds memory.
        """
        return ((logits, presence) for logits, presence, _ in self._outputs(images, questions))

    def _outputs(self, images: Sequence[Image.Image], questions: Sequence[str]) -> Iterator[Output]:
        if len(images) != len(questions):
            raise EarthReasonError(f"{len(images)} images but {len(questions)} questions; give one question per image")
        size = self.batch_size
        parts = [slice(start, start + size) for start in range(0, len(images), size)]
        threads = picture_threads()
        prepared = prefetch(lambda part: self._prepare(images[part], questions[part]), parts, 2 * threads, threads)
        before: list[Output] = []
        for part, batch in zip(parts, prepared, strict=True):
            # The device computes this batch while the caller turns the previous logits into masks.
            output = self._forward_or_halve(images[part], questions[part], batch)
            yield from before
            before = output
        yield from before

    def segment_tiled(self, image: Image.Image, question: str, tile: int, overlap: float = 0.25) -> Segmentation:
        """Answer a question about a large image in tiles, blending the logits where tiles overlap.

        The model sees each tile alone, so ask questions about the full scene ("the largest ...") without tiles.

        Args:
            image: image of any size.
            question: question about each tile.
            tile: side of a tile in pixels.
            overlap: share of a tile's side that overlaps the next tile.
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

    def _forward_or_halve(self, images: Sequence[Image.Image], questions: Sequence[str], batch: Batch) -> list[Output]:
        if len(images) > self.batch_size:  # an earlier batch of this call ran out of memory
            return list(self._outputs(images, questions))
        try:
            logits, presence, texts = self._forward(batch)
            return list(zip(logits, [None] * len(logits) if presence is None else presence, texts, strict=True))
        except torch.OutOfMemoryError:
            if len(images) == 1:
                remedy = "try --dtype bfloat16, or another --device"
                raise EarthReasonError(f"one image does not fit in the device's memory; {remedy}") from None
            self.batch_size = max(1, len(images) // 2)
            logger.warning("out of memory; continuing with batches of %d", self.batch_size)
        # Outside the handler, whose traceback holds the tensors of the failed batch.
        torch.cuda.empty_cache()
        return list(self._outputs(images, questions))

    @torch.inference_mode()
    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor | None, Sequence[str | None]]:
        if self.reply == "generated":
            return write_masks(cast(Any, self.model), self.processor, batch.pixels, batch.rows, batch.text)
        device = self.model.device
        rows = batch.rows.to(device) if len(batch.pixels) < len(batch.rows) else None
        names = ("input_ids", "attention_mask", "question_mask")
        text = {name: batch.text[name].to(device, non_blocking=True) for name in names}
        if self.compiled:
            for tensor in text.values():
                torch._dynamo.maybe_mark_dynamic(tensor, 1)  # compile once for texts of any length
        logits, presence = self._ask(batch.pixels.to(device, non_blocking=True), rows, text)
        return logits, presence, [None] * len(logits)

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


def known_task(name: str) -> Task:
    """Return the task of a name.

    Raises:
        UnknownNameError: there is no such task.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return name


def tile_boxes(height: int, width: int, tile: int, overlap: float) -> list[tuple[int, int]]:
    """Return top and left of tiles that cover an image, the last ones flush with its border."""

    def starts(length: int) -> list[int]:
        last = max(0, length - tile)
        step = max(1, round(tile * (1 - overlap)))
        return [*range(0, last, step), last]

    return [(top, left) for top in starts(height) for left in starts(width)]


def blend_window(tile: int) -> Tensor:
    """Return weights (tile, tile) that fall towards the border and never reach 0."""
    ramp = torch.hann_window(tile + 2, periodic=False)[1:-1]
    return ramp[:, None] * ramp[None, :] + 1e-3


def find_config(checkpoint: str | Path) -> Path:
    """Find the config.json of a checkpoint.

    Raises:
        EarthReasonError: the checkpoint or its config.json is missing, or a shipped checkpoint is damaged.
    """
    from transformers.utils.hub import cached_file

    checkpoint = locate_checkpoint(checkpoint)
    folder = Path(checkpoint)
    if folder.exists() and not (folder / "config.json").is_file():
        raise DataNotFoundError(f"{checkpoint} has no config.json; give the folder of a checkpoint")
    try:
        return folder / "config.json" if folder.is_dir() else Path(str(cached_file(str(checkpoint), "config.json")))
    except (OSError, ValueError) as error:
        raise DataNotFoundError(f"there is no checkpoint {checkpoint}: {str(error).splitlines()[0]}") from None
