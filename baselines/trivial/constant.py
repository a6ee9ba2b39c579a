"""The constant mask with the best gIoU on the train split."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError
from earthreason.masks.grids import nearest_indices

SIDE = 64


class BestConstant:
    """Predicts a fixed mask on a `SIDE` x `SIDE` grid, stretched to each image."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask

    @classmethod
    def fit(cls, masks: Iterable[np.ndarray]) -> BestConstant:
        """Threshold the mean of the train masks so that the mean IoU with them is highest.

        The best of all 2^4096 masks cannot be found; this is the best one among the level sets of the mean mask.

        Args:
            masks: train masks (height, width) bool.

        Raises:
            EarthReasonError: there are no masks.
        """
        stack = [_shrink(mask) for mask in masks]
        if not stack:
            raise EarthReasonError("the model 'constant' is fitted on the train split, which is empty here")
        truths = np.stack(stack).reshape(len(stack), -1)  # (n, SIDE * SIDE) bool
        order = np.argsort(-truths.mean(axis=0), kind="stable")
        shared = np.cumsum(truths[:, order], axis=1, dtype=np.int64)  # (n, k): intersection with the k + 1 likeliest
        union = truths.sum(axis=1)[:, None] + np.arange(1, SIDE * SIDE + 1) - shared
        best = int(np.argmax((shared / union).mean(axis=0)))
        mask = np.zeros(SIDE * SIDE, bool)
        mask[order[: best + 1]] = True
        return cls(mask.reshape(SIDE, SIDE))

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        return [self._stretched(image.height, image.width) for image in images]

    def _stretched(self, height: int, width: int) -> np.ndarray:
        return self.mask[nearest_indices(SIDE, height)][:, nearest_indices(SIDE, width)]


def _shrink(mask: np.ndarray) -> np.ndarray:
    height, width = mask.shape
    return mask[nearest_indices(height, SIDE)][:, nearest_indices(width, SIDE)]
