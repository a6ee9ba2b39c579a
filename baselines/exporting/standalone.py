"""Ask a model that was exported to ONNX: pictures and questions in, masks out.

This file needs onnxruntime, tokenizers, numpy and pillow, but neither PyTorch nor the package `earthreason`. `export`
writes a copy of it beside the model as `ask.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_SHARE_BITS = 15
"""Bits of the whole numbers by which neighbouring pixels are weighed."""


class ExportedModel:
    """A folder that `earthreason-baselines export --format onnx` wrote.

    Attributes:
        facts: content of `export.json`.
        side: side of the model's canvas in pixels.
    """

    def __init__(self, folder: str | Path = ".", threads: int = 0) -> None:
        """Load the model.

        Args:
            folder: folder with `export.json`.
            threads: threads of onnxruntime; 0 takes one for each core.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: the folder holds another format than this class runs.
        """
        from tokenizers import Tokenizer

        self.folder, self.threads = Path(folder), threads
        self.facts: dict[str, Any] = json.loads((self.folder / "export.json").read_text(encoding="utf-8"))
        self.side, self._prompt = int(self.facts["canvas_side"]), self.facts["prompt"]
        self._tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._load()

    def _load(self) -> None:
        import onnxruntime  # type: ignore[import-untyped]

        if self.facts["format"] != "onnx":
            raise ValueError(f"{self.folder} holds a model for {self.facts['format']}, not for onnxruntime")
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level, settings.intra_op_num_threads = 3, self.threads
        path, providers = str(self.folder / self.facts["file"]), onnxruntime.get_available_providers()
        self._session = onnxruntime.InferenceSession(path, settings, providers=providers)

    def run(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run the network on the result of `prepare`.

        Returns:
            Mask logits (B, h, w), and presence logits (B,) of models that tell whether there is a target.
        """
        found: list[np.ndarray] = self._session.run(None, inputs)
        return found

    def ask(self, images: Sequence[Image.Image], questions: Sequence[str]) -> list[tuple[np.ndarray | None, float]]:
        """Answer `questions[i]` about `images[i]`, all in one batch.

        Returns:
            For each a mask (height, width) bool, or None where there is no target, and the no-target score from 0 to 1.

        Raises:
            ValueError: the numbers differ, a question is empty or too long, or a picture has over 8 bits a channel.
        """
        if isinstance(questions, str) or len(images) != len(questions):
            raise ValueError("give two lists of the same length: pictures, and a question about each")
        if not questions:
            return []
        logits, *presence = self.run(self.prepare(images, questions))
        answers = []
        for number, image in enumerate(images):
            restored = self.restore(logits[number], image.height, image.width)
            certainty = float(presence[0][number] if presence else restored.max())
            score = float(1 / (1 + np.exp(min(certainty, 80.0))))
            mask = restored > 0
            answers.append((mask if mask.any() and score <= self.facts["no_target_threshold"] else None, score))
        return answers

    def prepare(self, images: Sequence[Image.Image], questions: Sequence[str]) -> dict[str, np.ndarray]:
        """Make the inputs of the network, B rows: pixels uint8, and ids and masks (B, L), padded on the right."""
        prompts = [self.prompt(question) for question in questions]
        length = max(len(ids) for ids, _ in prompts)
        inputs = {
            "pixels": np.stack([self.letterbox(image) for image in images]),
            "input_ids": np.full((len(prompts), length), self._prompt["padding_id"], np.int64),
            "attention_mask": np.zeros((len(prompts), length), np.int64),
            "question_mask": np.zeros((len(prompts), length), bool),
        }
        for row, (ids, marks) in enumerate(prompts):
            inputs["input_ids"][row, : len(ids)] = ids
            inputs["attention_mask"][row, : len(ids)] = 1
            inputs["question_mask"][row, : len(ids)] = marks
        return inputs

    def prompt(self, question: str) -> tuple[list[int], list[bool]]:
        """Return the token ids of a question, and which of their states make the mask.

        Raises:
            ValueError: the question is empty, not Unicode, or too long.
        """
        facts, text = self._prompt, " ".join(question.split())
        if not text or any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError("the question is empty or not Unicode text; ask something")
        if facts["small_letters"]:
            text = text.lower()
        if facts["full_stop"] and text[-1] not in ".?!":
            text += "."
        words = self._plain_ids(facts["before_question"] + text + facts["after_question"])
        ids = [*facts["ids_before"], *words, *facts["ids_after"]]
        if len(ids) > facts["longest"]:
            over = len(ids) - facts["longest"]
            tokens = "1 token" if over == 1 else f"{over} tokens"
            raise ValueError(f"the question has {tokens} more than fit into the model; shorten it: {text[:60]!r}")
        marked = [facts["marks"] == "all"] * (len(words) - 1) + [facts["marks"] in ("all", "last")]
        return ids, [*[False] * len(facts["ids_before"]), *marked, *map(bool, facts["marks_after"])]

    def _plain_ids(self, text: str) -> list[int]:
        """Tokenize a text; what looks like a control token in it, such as `[SEG]`, stays text."""
        controls = "|".join(map(re.escape, self._prompt["control_tokens"]))
        cuts = [match.start() + 1 for match in re.finditer(f"(?={controls})", text)] if controls else []
        parts = [text[start:end] for start, end in pairwise([0, *cuts, len(text)])]
        return [token for part in parts for token in self._tokenizer.encode(part, add_special_tokens=False).ids]

    def letterbox(self, image: Image.Image) -> np.ndarray:
        """Scale the longer side of a picture to the canvas and pad with black: (channels, side, side) uint8.

        A fourth channel, where the model has one, is 255 on the picture and 0 on its padding.

        Raises:
            ValueError: the picture is empty, or has more than 8 bits a channel.
        """
        if 0 in image.size or image.mode[0] in "IF":
            raise ValueError(f"the picture has mode {image.mode} and size {image.size}; give 8 bits a channel")
        rows, columns, top, left = self._placed(image.height, image.width)
        picture = np.array(image if image.mode == "RGB" else image.convert("RGB"))
        resized = _resize_bytes(_resize_bytes(picture, columns, axis=1), rows, axis=0)
        canvas = np.zeros((self.facts["channels"], self.side, self.side), np.uint8)
        canvas[:3, top : top + rows, left : left + columns] = resized.transpose(2, 0, 1)
        canvas[3:, top : top + rows, left : left + columns] = 255
        return canvas

    def restore(self, logits: np.ndarray, height: int, width: int) -> np.ndarray:
        """Scale mask logits (h, w) to the canvas, and its picture back to its size: (height, width) float32."""
        rows, columns, top, left = self._placed(height, width)
        canvas = _resize(_resize(logits.astype(np.float32), self.side, 1), self.side, 0)
        inside = canvas[top : top + rows, left : left + columns]
        return _resize(_resize(inside, width, 1), height, 0)

    def _placed(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return rows and columns of a picture on the canvas, and the padding above and left of it."""
        if width > height:
            rows, columns = int(height * (self.side / width)), self.side
        else:
            rows, columns = self.side, int(width * (self.side / height))
        return max(1, rows), max(1, columns), (self.side - rows) // 2, (self.side - columns) // 2


def _neighbours(source: int, target: int, dtype: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two source positions of each target position, and the share of the second, as PyTorch does."""
    scale = dtype(source) / dtype(target)
    at = np.maximum((np.arange(target, dtype=dtype) + dtype(0.5)) * scale - dtype(0.5), dtype(0))
    low = np.minimum(at.astype(np.int64), source - 1)
    return low, np.minimum(low + 1, source - 1), at - low.astype(dtype)


def _resize(values: np.ndarray, target: int, axis: int) -> np.ndarray:
    """Scale one axis of float32 values bilinearly."""
    source = values.shape[axis]
    if source == target:
        return values
    low, high, share = _neighbours(source, target, np.float32)
    share = np.expand_dims(share, 1 - axis)
    scaled: np.ndarray = values.take(low, axis) * (1 - share) + values.take(high, axis) * share
    return scaled


def _resize_bytes(pixels: np.ndarray, target: int, axis: int) -> np.ndarray:
    """Scale one axis of (H, W, 3) bytes bilinearly in whole numbers, as PyTorch does."""
    source = pixels.shape[axis]
    if source == target:
        return pixels
    low, high, share = _neighbours(source, target, np.float64)
    largest, bits = max(share.max(), 1 - share.min()), 0
    while bits < 22 and int(0.5 + largest * (1 << (bits + 1))) < 1 << _SHARE_BITS:
        bits += 1
    weights = [np.floor(part * (1 << bits) + 0.5).astype(np.int32) for part in (1 - share, share)]
    first, second = (weight.reshape(-1, *[1] * (2 - axis)) for weight in weights)
    total = (pixels.take(low, axis) * first + pixels.take(high, axis) * second).astype(np.int32)
    return np.clip((total + (1 << (bits - 1))) >> bits, 0, 255).astype(np.uint8)
