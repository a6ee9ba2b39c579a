"""Predict the superpixels that differ in colour from the rest of the image."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.color import rgb2lab
from skimage.filters import threshold_otsu
from skimage.segmentation import slic

from earthreason.masks.grids import nearest_indices

WORKING_SIDE = 256


class Saliency:
    """Predictor of the SLIC superpixels whose mean Lab colour differs most from the others, by Otsu's threshold.

    It works on a copy with sides of at most `WORKING_SIDE` pixels, so that its time does not grow with the image.
    """

    def __init__(self, segments: int = 150) -> None:
        self.segments = segments

    def predict(self, images: list[Image.Image], questions: list[str]) -> list[np.ndarray | None]:
        return [self._mark(image) for image in images]

    def _mark(self, image: Image.Image) -> np.ndarray | None:
        small = image.convert("RGB")
        small.thumbnail((WORKING_SIDE, WORKING_SIDE))
        lab = rgb2lab(np.asarray(small))  # (h, w, 3)
        labels = slic(lab, n_segments=self.segments, compactness=10, convert2lab=False, start_label=0)
        sizes = np.bincount(labels.ravel())
        sums = [np.bincount(labels.ravel(), weights=lab[..., channel].ravel()) for channel in range(3)]
        colours = np.stack(sums, axis=1) / sizes[:, None]  # (segments, 3)
        distances = np.linalg.norm(colours[:, None] - colours, axis=2)
        contrast = distances @ sizes / sizes.sum()
        if np.ptp(contrast) < 1e-6:
            return None
        marked = (contrast > threshold_otsu(contrast))[labels]
        rows = nearest_indices(marked.shape[0], image.height)
        columns = nearest_indices(marked.shape[1], image.width)
        return np.asarray(marked[rows][:, columns])
