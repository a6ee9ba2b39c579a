"""Answer one question about one image file and draw the result."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from baselines.common.predictor import Segmentation
from baselines.segearth_r1.predictor import SegEarthR1Predictor
from earthreason.errors import DataNotFoundError, EarthReasonError
from earthreason.files import atomic_path, refuse_folder
from earthreason.overlay import PREDICTION_COLOUR, draw_overlay

logger = logging.getLogger("earthreason.segearth_r1")
LARGE = 2048


def segment_picture(
    predictor: SegEarthR1Predictor,
    path: Path,
    question: str,
    out: Path,
    mask_out: Path | None = None,
    *,
    answer: bool = False,
    tile: int = 0,
) -> Segmentation:
    """Answer a question about an image file and write the overlay.

    Args:
        predictor: predictor with a loaded checkpoint.
        path: image file.
        question: question about the image.
        out: PNG of the overlay to write.
        mask_out: PNG of the mask to write, 0 and 255.
        answer: also generate the answer in words.
        tile: side of the tiles in pixels; 0 does not tile.

    Raises:
        EarthReasonError: the file is not a readable image.
    """
    image = read_picture(path)
    if tile:
        segmented = predictor.segment_tiled(image, question, tile)
    else:
        if max(image.size) > LARGE:
            logger.warning("%s is larger than %d px and will be scaled down; --tile 1024 keeps details", path, LARGE)
        (segmented,) = predictor.segment([image], [question])
    if answer:
        segmented = replace(segmented, answer=predictor.answer(image, question))
    with atomic_path(out) as temporary:
        draw_overlay(image, segmented.mask, PREDICTION_COLOUR, side=LARGE).save(temporary, "PNG")
    if mask_out is not None:
        mask = np.zeros((image.height, image.width), bool) if segmented.mask is None else segmented.mask
        with atomic_path(mask_out) as temporary:
            Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, "PNG")
    return segmented


def check_request(path: Path, question: str, outputs: Sequence[Path]) -> None:
    """Check the arguments of `segment_picture` before a checkpoint is loaded.

    Raises:
        EarthReasonError: the file is not a readable image, the question is empty, or an output is a folder.
    """
    read_picture(path)
    if not question.strip():
        raise EarthReasonError("the question is empty")
    for output in outputs:
        refuse_folder(output)


def read_picture(path: Path) -> Image.Image:
    """Read an image file completely.

    Raises:
        EarthReasonError: the file is missing, not an image, or truncated.
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no picture {path}")
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise EarthReasonError(f"{path}: not a readable picture: {error}") from None
