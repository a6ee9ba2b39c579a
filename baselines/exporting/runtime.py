"""An exported model as a Predictor, over onnxruntime or torch.export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, reason_of
from earthreason.installing import install_command
from earthreason.plurals import count_of

from ..registry import PredictorOptions
from .standalone import ExportedModel

FACTS, TOKENIZER = "export.json", "tokenizer.json"
FORMATS = ("torch-export", "onnx")


class TracedModel(ExportedModel):
    """A folder that `earthreason-baselines export --format torch-export` wrote, or onnx; the first needs PyTorch."""

    def _load(self) -> None:
        if self.facts["format"] == "onnx":
            super()._load()
            return
        import torch

        self._network = torch.export.load(self.folder / self.facts["file"]).module()

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        if self.facts["format"] == "onnx":
            return super().run(inputs)
        import torch

        with torch.inference_mode():
            found = self._network(*(torch.from_numpy(values) for values in inputs.values()))
        return [tensor.numpy() for tensor in found]


class ExportedPredictor:
    """A folder that `export` wrote as a Predictor: images and questions in, masks out.

    Attributes:
        facts: content of the folder's `export.json`.
        task: kind of question that the prompt was written for.
        no_target_threshold: no-target score above which the answer is "no target".
    """

    def __init__(self, folder: str | Path, batch_size: int = 8) -> None:
        """Load an exported model.

        Args:
            folder: folder with `export.json`.
            batch_size: questions per batch.

        Raises:
            EarthReasonError: a file is missing or broken, or onnxruntime is not installed.
        """
        folder = Path(folder)
        self.facts, self.batch_size = read_facts(folder), batch_size
        self.task: str = self.facts["task"]
        self.no_target_threshold: float = self.facts["no_target_threshold"]
        try:
            self._model = TracedModel(folder)
        except ImportError as error:
            remedy = install_command("earthreason-baselines[export]")
            raise EarthReasonError(f"{error.name} is not installed; run {remedy}") from None
        except Exception as error:  # onnxruntime, torch and tokenizers raise kinds of their own for broken files
            raise DataFormatError(f"{folder}: the exported model cannot be loaded: {reason_of(error)}") from None

    @classmethod
    def build(cls, options: PredictorOptions) -> ExportedPredictor:
        """Build the predictor for the model registry.

        Raises:
            EarthReasonError: no folder was given, or an option that an exported model cannot follow.
        """
        if options.checkpoint is None:
            raise EarthReasonError("exported needs --checkpoint: a folder made by `earthreason-baselines export`")
        if options.device not in ("auto", "cpu"):
            raise EarthReasonError(f"--device {options.device}: exported models run on the CPU here; leave it out")
        if options.dtype != "float32":
            raise EarthReasonError(f"--dtype {options.dtype}: the dtype is chosen by `export --dtype`; leave it out")
        return cls(options.checkpoint, options.batch_size)

    def predict(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[np.ndarray | None]:
        """Return one bool mask (height, width) per image and question; None for "no target".

        Raises:
            EarthReasonError: the numbers differ, or a question or an image is unusable.
        """
        return [mask for mask, _ in self.ask(images, questions)]

    def ask(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[tuple[np.ndarray | None, float]]:
        """Return mask or None, and no-target score, per image and question.

        Raises:
            EarthReasonError: the numbers differ, or a question or an image is unusable.
        """
        if len(images) != len(questions):
            given = f"{count_of(len(images), 'image')} but {count_of(len(questions), 'question')}"
            raise EarthReasonError(f"{given}; give one question per image")
        found: list[tuple[np.ndarray | None, float]] = []
        for start in range(0, len(images), self.batch_size):
            part = slice(start, start + self.batch_size)
            try:
                found += self._model.ask(images[part], questions[part])
            except ValueError as error:
                raise EarthReasonError(str(error)) from None
        return found


def read_facts(folder: Path) -> dict[str, Any]:
    """Read and check `export.json`.

    Raises:
        DataNotFoundError: the folder, or a file that it names, is missing.
        DataFormatError: it is not what `export` writes.
    """
    path = folder / FACTS
    if not path.is_file():
        raise DataNotFoundError(f"{folder} has no {FACTS}; give a folder made by `earthreason-baselines export`")
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files, kind = facts["files"], facts["format"]
        sizes = {str(name): int(entry["bytes"]) for name, entry in files.items()}
        if kind not in FORMATS or facts["file"] not in sizes or TOKENIZER not in sizes:
            raise KeyError
        for key in ("task", "no_target_threshold", "canvas_side", "channels", "prompt"):
            facts[key]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataFormatError(f"{path} is not what `earthreason-baselines export` writes; export again") from None
    for name, size in sizes.items():
        if not (folder / name).is_file():
            raise DataNotFoundError(f"{folder / name} is missing, which {FACTS} names; export or copy the folder again")
        if (found := (folder / name).stat().st_size) != size:
            raise DataFormatError(
                f"{folder / name} has {count_of(found, 'byte')} instead of {size:,}; copy the folder again"
            )
    return facts
