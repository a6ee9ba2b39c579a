"""What an image looks like, small enough for a journal: SIFT keypoints and a thumbnail."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2  # here and not in the function, so that the workers of an audit inherit it
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 192
"""Longer side, in pixels, of the frame in which keypoints are found; every image is scaled to it."""
THUMBNAIL = 48
"""Side of the square thumbnail, in pixels."""
_KEYPOINTS = 150
_CONTRAST = 0.02
"""Contrast threshold of SIFT: half of its default, since water and fields have little contrast."""
_KEYPOINT = np.dtype([("at", "<u2", 2), ("size", "<f2"), ("angle", "<f2"), ("bits", "u1", 16)])
_STEPS = 256
"""Steps a pixel, in which positions are stored."""


@dataclass(frozen=True)
class Look:
    """What an image looks like.

    Attributes:
        size: height and width of the image, in pixels.
        at: (n,) complex: x + iy of the keypoints in the frame whose longer side is `SIDE`.
        arm: (n,) complex: size and direction of the keypoints.
        bits: (n, 16) uint8: 128 bits a keypoint, those of its SIFT histograms that are above their median.
        thumbnail: (48, 48) uint8: luminance of the whole image, squeezed into a square.
    """

    size: tuple[int, int]
    at: NDArray[np.complex128]
    arm: NDArray[np.complex128]
    bits: NDArray[np.uint8]
    thumbnail: NDArray[np.uint8]

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of the frame that the positions of keypoints refer to."""
        return _frame(self.size)


def look(grey: Image.Image) -> dict[str, str]:
    """Return the keypoints and the thumbnail of an image of mode L, as JSON values for `read_look`.

    The image may be scaled down before, as long as its longer side is `SIDE` or more.
    """
    height, width = _frame((grey.height, grey.width))
    frame = np.asarray(grey.resize((width, height), Image.Resampling.LANCZOS), np.float32)
    low, high = np.percentile(frame, (1, 99))
    frame = np.clip((frame - low) * (255 / max(high - low, 8)), 0, 255).astype(np.uint8)
    # Without precise upscaling, keypoints are half a pixel off, to the other side in a mirrored image.
    sift: Any = cv2.SIFT_create(  # type: ignore[attr-defined]
        nfeatures=_KEYPOINTS, contrastThreshold=_CONTRAST, enable_precise_upscale=True
    )
    found, histograms = sift.detectAndCompute(frame, None)
    points = np.zeros(min(len(found), _KEYPOINTS), _KEYPOINT)
    if len(points):
        histograms = histograms[: len(points)]
        found = found[: len(points)]
        points["at"] = np.round(np.clip([point.pt for point in found], 0, SIDE) * np.float64(_STEPS))
        points["size"] = [point.size for point in found]
        points["angle"] = [point.angle for point in found]
        points["bits"] = np.packbits(histograms > np.median(histograms, axis=1, keepdims=True), axis=1)
    thumbnail = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    return {"keypoints": b64encode(points.tobytes()).decode(), "thumbnail": b64encode(thumbnail.tobytes()).decode()}


def read_look(size: tuple[int, int], values: Mapping[str, Any]) -> Look:
    """Read the result of `look`, for an image of this height and width."""
    points = np.frombuffer(b64decode(values["keypoints"]), _KEYPOINT)
    x, y = points["at"].astype(np.float64).T / _STEPS
    arm = points["size"].astype(np.float64) * np.exp(1j * np.deg2rad(points["angle"].astype(np.float64)))
    thumbnail = np.frombuffer(b64decode(values["thumbnail"]), np.uint8).reshape(THUMBNAIL, THUMBNAIL)
    return Look(size, x + 1j * y, arm.astype(np.complex128), points["bits"], thumbnail)


def mirrored_bits(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the (n, 16) bits that the keypoints have in the mirrored image.

    A SIFT descriptor has 4 x 4 cells (rows across the direction of the keypoint) of 8 directions. In a mirror, the
    order of the rows is reversed, and directions change their sign.
    """
    cells = np.unpackbits(bits, axis=1).reshape(-1, 4, 4, 8)
    return np.packbits(cells[:, ::-1][..., -np.arange(8)].reshape(-1, 128), axis=1)


def _frame(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image whose longer side is scaled to `SIDE`."""
    height, width = size
    scale = SIDE / max(size)
    return max(8, round(height * scale)), max(8, round(width * scale))
