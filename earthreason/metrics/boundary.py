"""Boundary IoU: the IoU of bands along the outlines of two masks. The only metric that decodes pixels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_cdt

from earthreason.masks.rle import decode_rle
from earthreason.metrics.counting import read_predictions
from earthreason.metrics.counts import Key
from earthreason.metrics.references import References
from earthreason.predictions.reader import PredictionSource

BAND = 0.02
"""Width of the band, as a share of the image diagonal."""


def boundary_band(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the foreground pixels within `width` pixels (chessboard distance) of the background or the image edge.

    Args:
        mask: (height, width) bool.
        width: largest distance in pixels.

    Returns:
        Band, (height, width) bool.
    """
    padded = np.pad(mask, 1)
    distance: np.ndarray = distance_transform_cdt(padded, metric="chessboard")[1:-1, 1:-1]
    return mask & (distance <= width)


def boundary_counts(
    prediction: np.ndarray | None, truth: np.ndarray, ignore: np.ndarray | None = None
) -> tuple[int, int]:
    """Return the intersection and union of two boundary bands, in pixels.

    Boundary IoU (Cheng et al., CVPR 2021, arXiv 2103.16562, section 3) is the IoU of the parts of both masks that are
    within 2 % of the diagonal of their own outlines.

    Args:
        prediction: predicted mask, (height, width) bool; None for "no target".
        truth: true mask, (height, width) bool.
        ignore: pixels that count nowhere, (height, width) bool, outside the true mask.
    """
    width = max(1, round(BAND * float(np.hypot(*truth.shape))))
    band = boundary_band(truth, width)
    if prediction is None:
        return 0, int(band.sum())
    predicted = boundary_band(prediction, width)
    if ignore is not None:
        predicted &= ~ignore
    return int((band & predicted).sum()), int((band | predicted).sum())


def count_boundaries(
    predictions: PredictionSource, references: References, *, leave_out: bool
) -> dict[Key, tuple[int, int]]:
    """Count the bands of predictions without faults, one image at a time.

    Args:
        predictions: predictions at the images' own size.
        references: ground truth.
        leave_out: whether ignored pixels count nowhere; else they are background.
    """
    counts = {}
    for prediction in read_predictions(predictions, references, []):
        reference = references[prediction.sample_id]
        truth = decode_rle(reference.segmentation)
        mask = None if prediction.segmentation is None else decode_rle(prediction.segmentation)
        ignore = decode_rle(reference.ignore) if leave_out and reference.ignore is not None else None
        counts[prediction.sample_id, prediction.question_index] = boundary_counts(mask, truth, ignore)
    return counts
