"""Wrap a model as a Predictor: images and questions in, masks out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedConfig

from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError
from earthreason.geo.model import TileScores
from earthreason.torch import canvas_logits, restore_logits
from earthreason.types import Answer

from ..checkpoints import locate_checkpoint, shipped_checkpoints
from ..registry import PredictorOptions
from .asking import BatchedModel, M
from .devices import DTYPES, find_device
from .generation import REPLY_MODES
from .modeling import ReasoningModel
from .processing import Processor
from .quantised import load_quantised
from .resolution import known_range

logger = logging.getLogger("earthreason.baselines")
NO_TARGET_THRESHOLD = 0.5
"""Threshold of models without a calibrated one."""


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


class MaskPredictor(BatchedModel[M]):
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
        super().__init__(model, processor, batch_size, task, compiled, reply)
        self.name = str(model.config.model_type)
        self.tile_side = processor.image_size
        self.ground_resolution = known_range(getattr(model.config, "ground_resolution", None))
        self.on_canvas, self.min_area = on_canvas, min_area
        calibrated = getattr(model.config, "no_target_threshold", NO_TARGET_THRESHOLD)
        self.no_target_threshold: float = calibrated if no_target_threshold is None else no_target_threshold
        if not 0 <= self.no_target_threshold <= 1:
            raise EarthReasonError(f"no-target threshold {self.no_target_threshold}: must be between 0 and 1")

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
            kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
        except (ValueError, AttributeError) as error:
            raise DataNotFoundError(f"{path}: not the configuration of a model: {error}") from None
        if kind is None and (Path(checkpoint) / "final" / "config.json").is_file():
            raise EarthReasonError(f"{checkpoint} is the folder of a run; give the model in it: {checkpoint}/final")
        if kind != expected.model_type:
            raise EarthReasonError(f"{checkpoint} contains a {kind} model, not {expected.model_type}")
        try:
            config: PreTrainedConfig = expected.from_pretrained(path.parent)
        except EarthReasonError as error:
            raise EarthReasonError(f"{path}: {error}") from None
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
            remedy = "a folder made by `earthreason-baselines train` or `convert`, or a Hub id"
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

    def score_tiles(self, tiles: Sequence[np.ndarray], questions: Sequence[str]) -> Iterator[TileScores]:
        """Yield the scores of every tile, (height, width, 3) uint8, for all questions; each tile is encoded once.

        Raises:
            EarthReasonError: a question is unusable, or one tile exceeds the memory of the device.
        """
        count = len(questions)
        found = self._outputs([tile for tile in tiles for _ in questions], [*questions] * len(tiles), count)
        side = self.processor.image_size
        for tile in tiles:
            logits, scores = np.empty((count, *tile.shape[:2]), np.float32), np.empty(count, np.float32)
            for number, (coarse, presence, _) in enumerate(islice(found, count)):
                with torch.inference_mode():
                    restored = restore_logits(coarse, side, *tile.shape[:2])
                    logits[number], scores[number] = restored.cpu().numpy(), no_target_score(restored, presence)
            yield TileScores(logits, scores)

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
        score = no_target_score(logits, presence)
        kept = mask.sum() >= max(1, self.min_area) and score <= self.no_target_threshold
        return Segmentation(mask if kept else None, score)


def no_target_score(logits: Tensor, presence: Tensor | None) -> float:
    """Return 1 - the presence probability or, for a model without a no-target head, 1 - that of the likeliest pixel."""
    return 1 - float((logits.max() if presence is None else presence).sigmoid())


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
    if not folder.exists() and (folder.is_absolute() or str(checkpoint).count("/") > 1):  # no name of the Hub
        raise DataNotFoundError(f"there is no folder {checkpoint}; give the folder of a checkpoint, or a Hub id")
    try:
        return folder / "config.json" if folder.is_dir() else Path(str(cached_file(str(checkpoint), "config.json")))
    except (OSError, ValueError) as error:
        raise DataNotFoundError(f"there is no checkpoint {checkpoint}: {str(error).splitlines()[0]}") from None
