"""Predictors that ignore the content of the image."""

from __future__ import annotations

import numpy as np
from PIL import Image


class Empty:
    """Predictor of "no target" for every question."""

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        return [None] * len(images)


class Everything:
    """Predictor of all pixels of the image."""

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        return [np.ones((image.height, image.width), bool) for image in images]


class Centre:
    """Predictor of a centred ellipse whose axes are `share` of the image's sides."""

    def __init__(self, share: float = 0.5) -> None:
        self.share = share

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        return [self._ellipse(image.height, image.width) for image in images]

    def _ellipse(self, height: int, width: int) -> np.ndarray:
        rows = (np.arange(height) + 0.5) / height - 0.5
        columns = (np.arange(width) + 0.5) / width - 0.5
        return rows[:, None] ** 2 + columns**2 <= (self.share / 2) ** 2
