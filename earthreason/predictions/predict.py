"""Predictions of a model for a split."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from itertools import islice
from typing import Literal

import numpy as np
from PIL import Image

from earthreason.errors import EarthReasonError, RLEError
from earthreason.masks.grids import Grid
from earthreason.masks.rle import encode_mask
from earthreason.plurals import count_of
from earthreason.predictions.schema import MAX_FAILURE
from earthreason.types import RLE, Answer, FalliblePredictor, Prediction, Predictor, Sample

_OWN_SIZE = Grid("native")
Questions = Literal["first", "all"]


def predict_samples(
    predictor: Predictor,
    samples: Iterable[Sample],
    questions: Questions = "first",
    batch_size: int = 8,
    skip: Container[tuple[str, int]] = (),
    grid: Grid = _OWN_SIZE,
    keep: Callable[[str, int, Answer], None] | None = None,
) -> Iterator[Prediction]:
    """Predict the samples lazily, in order.

    Args:
        predictor: model to run.
        samples: samples to predict.
        questions: questions of each sample to predict.
        batch_size: number of questions in a call of the predictor.
        skip: sample ids and question indices to leave out.
        grid: grid that the predictor's masks are on; by default that of each image.
        keep: function that gets the sample id, the question index and the answer before its prediction is yielded.

    Raises:
        EarthReasonError: the predictor returned a wrong number of masks, a mask of another size, or an invalid mask.
    """
    pairs = (
        (sample, index)
        for sample in samples
        for index in range(1 if questions == "first" else len(sample.questions))
        if (sample.sample_id, index) not in skip
    )
    while batch := list(islice(pairs, batch_size)):
        answers = _ask(predictor, [s.image for s, _ in batch], [s.questions[i] for s, i in batch])
        if len(answers) != len(batch):
            raise EarthReasonError(
                f"the predictor returned {count_of(len(answers), 'mask')} for {count_of(len(batch), 'question')}"
            )
        for (sample, index), answer in zip(batch, answers, strict=True):
            mask, failure = answer.mask, answer.failure
            if mask is not None and mask.shape != grid.shape(sample.height, sample.width):
                raise EarthReasonError(
                    f"the predictor returned a {mask.shape} mask for sample {sample.sample_id!r} of height "
                    f"{sample.height} and width {sample.width}; masks are (height, width) "
                    f"{'at the image size' if grid.kind == 'native' else f'on the {grid.name} grid'}"
                )
            if keep is not None:
                keep(sample.sample_id, index, answer)
            reason = None if failure is None else failure[:MAX_FAILURE]
            encoded = _encode(mask, sample.sample_id)
            yield Prediction(sample.sample_id, encoded, index, answer=answer.text, failure=reason)


def _ask(predictor: Predictor, images: list[Image.Image], questions: list[str]) -> list[Answer]:
    if isinstance(predictor, FalliblePredictor):
        return predictor.attempt(images, questions)
    return [Answer(mask) for mask in predictor.predict(images, questions)]


def _encode(mask: np.ndarray | None, sample_id: str) -> RLE | None:
    """Encode a mask as RLE; None if it has no pixel."""
    if mask is None or not mask.any():
        return None
    try:
        return encode_mask(mask)
    except RLEError as error:
        raise EarthReasonError(f"the predictor's mask for sample {sample_id!r}: {error}") from None
