"""One pass over the predictions: check every record, and count its pixels in every view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

from earthreason.errors import DataFormatError, PredictionsError, RLEError
from earthreason.masks.grids import Grid
from earthreason.masks.pictures import describe_size
from earthreason.masks.rle import validate_rle
from earthreason.metrics.counts import Key, ViewCounts, join_tables, name_key
from earthreason.metrics.packed import Answer, PackedTruth
from earthreason.metrics.protocols import View
from earthreason.metrics.references import References, refuse_broken_masks
from earthreason.predictions.reader import PredictionSource
from earthreason.predictions.segmentation import SizeOf
from earthreason.types import RLE, Prediction

_CHUNK_PAIRS, _CHUNK_BYTES = 2048, 1 << 21


def count_regions(
    predictions: PredictionSource, references: References, views: Sequence[View], workers: int = 1
) -> ViewCounts:
    """Count every prediction in every view, in chunks, so that memory grows with the number of rows only.

    Args:
        predictions: predictions, read lazily.
        references: ground truth.
        views: what to count; each must accept the grid of the predictions.
        workers: number of threads that compare masks; neither results nor messages depend on it.

    Returns:
        Tables of one row per prediction or target, sorted by sample id, question and target.

    Raises:
        PredictionsError: unknown or duplicate ids, wrong sizes, broken RLE or unreadable records; lists all of them.
        DataFormatError: a mask of the ground truth is invalid; names it.
    """
    faults: list[str] = []
    parts: list[ViewCounts] = []
    invalid: list[str] = []
    try:
        truth = PackedTruth(references, views, predictions.grid)
        for chunk in _chunks(_checked(predictions, references, faults)):
            tables, broken = truth.count(chunk, threads=workers)
            parts.append(tables)
            invalid.extend(broken)
    except DataFormatError:
        refuse_broken_masks(references)
        raise
    if faults or invalid:
        raise PredictionsError(predictions.source, faults + invalid)
    return join_tables(parts or [truth.count([])[0]])


def count_unanswered(keys: Sequence[Key], references: References, views: Sequence[View], canvas: Grid) -> ViewCounts:
    """Count questions without a prediction as "no target", beside predictions on `canvas`."""
    number = {sample_id: n for n, sample_id in enumerate(references)}
    answers = [(Prediction(sample_id, None, question_index=index), number[sample_id]) for sample_id, index in keys]
    return PackedTruth(references, views, canvas).count(answers, answered=False)[0]


def size_lookup(references: References) -> SizeOf:
    """Return the function from a sample id to the (height, width) of its image, or None if there is no such sample."""

    def size_of(sample_id: str) -> tuple[int, int] | None:
        reference = references.get(sample_id)
        return None if reference is None else (reference.height, reference.width)

    return size_of


def _chunks(answers: Iterable[Answer]) -> Iterator[list[Answer]]:
    chunk: list[Answer] = []
    size = 0
    for answer in answers:
        chunk.append(answer)
        mask = answer[0].segmentation
        size += 0 if mask is None else len(mask["counts"])
        size += sum(len(target["counts"]) for target in answer[0].targets)
        if len(chunk) >= _CHUNK_PAIRS or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _checked(predictions: PredictionSource, references: References, faults: list[str]) -> Iterator[Answer]:
    """Yield every prediction that fits the references; append the faults of the others."""
    # Everything that a usual prediction is compared with, so that only another one needs the slow `_fault_of`.
    expected = {
        sample_id: (row, reference.question_count, [*predictions.grid.shape(reference.height, reference.width)])
        for row, (sample_id, reference) in enumerate(references.items())
    }
    seen: set[Key] = set()
    for prediction in predictions.read(faults, size_lookup(references)):
        key = (prediction.sample_id, prediction.question_index)
        mask = prediction.segmentation
        row, questions, size = expected.get(key[0], (-1, 0, []))
        fits = key[1] < questions and (mask is None or mask["size"] == size)
        if fits and not prediction.targets and key not in seen:
            seen.add(key)
            yield prediction, row
            continue
        fault = _fault_of(prediction, predictions.grid, references, hint=len(faults) < PredictionsError.shown)
        if key in seen:
            fault = (
                "predicted more than once; keep one, or unite instances by `--instances union`, in Python by "
                '`open_predictions(path, instances="union")`, for a leaderboard by `pycocotools.mask.merge`'
            )
        seen.add(key)
        if fault:
            faults.append(f"{name_key(key)}: {fault}")
        else:
            yield prediction, row


def _fault_of(prediction: Prediction, grid: Grid, references: References, *, hint: bool) -> str | None:
    reference = references.get(prediction.sample_id)
    if reference is None:
        return f"not in {references.source}{_remedy_for_id(prediction.sample_id, references) if hint else ''}"
    if prediction.question_index >= reference.question_count:
        return f"the sample has {reference.question_count} questions, counted from 0"
    own = reference.height, reference.width
    expected = grid.shape(*own)
    canvas = None if grid.kind == "native" else own
    for n, target in enumerate(prediction.targets, start=1):
        if fault := _wrong_size(target, expected, canvas) or _wrong_encoding(target):
            return f"mask {n} of {len(prediction.targets)}: {fault}"
    return None if prediction.segmentation is None else _wrong_size(prediction.segmentation, expected, canvas)


def _remedy_for_id(sample_id: str, references: References) -> str:
    """Say how to name a sample that is unknown. The search for the nearest id is slow."""
    if (stem := PurePosixPath(sample_id).stem) in references:
        return f"; name it {stem!r}, without folder and ending"
    if nearest := get_close_matches(sample_id, list(references)[:5000], n=1):
        return f"; nearest: {nearest[0]!r}"
    numbers = "; `from_coco(file, images)` turns the numbers of COCO to names" if sample_id.isdecimal() else ""
    return f"; its samples have names such as {next(iter(references), '')!r}{numbers}"


def _wrong_size(mask: RLE, expected: tuple[int, int], own: tuple[int, int] | None) -> str | None:
    height, width = mask["size"]
    return None if (height, width) == expected else describe_size((height, width), expected, own)


def _wrong_encoding(mask: RLE) -> str | None:
    try:
        validate_rle(mask)
    except RLEError as error:
        return str(error)
    return None
