"""One pass over the predictions: check every record, and count its pixels in every view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import PurePosixPath

from earthreason.errors import DataFormatError, PredictionsError, RLEError
from earthreason.masks.grids import Grid
from earthreason.masks.pictures import describe_wrong_size
from earthreason.masks.rle import validate_rle
from earthreason.metrics.counts import Key, ViewCounts, join_tables, name_key
from earthreason.metrics.packed import Answers, PackedTruth
from earthreason.metrics.protocols import View
from earthreason.metrics.references import References, refuse_broken_masks
from earthreason.plurals import count_of
from earthreason.predictions.columns import PredictionColumns
from earthreason.predictions.reader import PredictionSource
from earthreason.predictions.segmentation import SizeOf
from earthreason.types import RLE, Prediction

_CHUNK_PAIRS, _CHUNK_BYTES = 2048, 1 << 21


def count_regions(
    predictions: PredictionSource, references: References, views: Sequence[View], workers: int = 1
) -> ViewCounts:
    """Count every prediction in every view.

    A small file is in memory already and is counted at once. Everything else is counted in chunks, so that memory grows
    with the number of rows only.

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
        for chunk in _chunks(predictions, references, faults):
            tables, broken = truth.count(chunk, threads=workers)
            parts.append(tables)
            invalid.extend(broken)
    except DataFormatError:
        refuse_broken_masks(references)
        raise
    if faults or invalid:
        raise PredictionsError(predictions.source, faults + invalid)
    return join_tables(parts or [truth.count(Answers.of([], []))[0]])


def count_unanswered(keys: Sequence[Key], references: References, views: Sequence[View], canvas: Grid) -> ViewCounts:
    """Count questions without a prediction as "no target", beside predictions on `canvas`."""
    number = {sample_id: n for n, sample_id in enumerate(references)}
    missing = [Prediction(sample_id, None, question_index=index) for sample_id, index in keys]
    answers = Answers.of(missing, [number[sample_id] for sample_id, _ in keys])
    try:
        return PackedTruth(references, views, canvas).count(answers, answered=False)[0]
    except DataFormatError:
        refuse_broken_masks(references)
        raise


def size_lookup(references: References) -> SizeOf:
    """Return the function from a sample id, or another name of the sample, to the (height, width) of its image.

    It returns None if there is no such sample.
    """

    def size_of(sample_id: str) -> tuple[int, int] | None:
        found = references.find(sample_id)
        return None if found is None else (references[found].height, references[found].width)

    return size_of


def read_predictions(
    predictions: PredictionSource, references: References, faults: list[str]
) -> PredictionColumns | Iterator[Prediction]:
    """Read predictions with the ids of `references`, where they use another name of a sample; see `References.find`."""
    given = predictions.read(faults, size_lookup(references))
    if isinstance(given, PredictionColumns) and references.keys() >= set(given.sample_ids):
        return given
    return (_with_id(prediction, references) for prediction in given)


def _with_id(prediction: Prediction, references: References) -> Prediction:
    found = references.find(prediction.sample_id)
    return prediction if found in (None, prediction.sample_id) else replace(prediction, sample_id=found)


def _chunks(predictions: PredictionSource, references: References, faults: list[str]) -> Iterator[Answers]:
    """Yield the predictions that fit the references, in chunks; append the faults of the others."""
    expected = _Expected(references, predictions.grid)
    given = read_predictions(predictions, references, faults)
    if isinstance(given, PredictionColumns) and (numbers := expected.numbers_of(given)) is not None:
        none: list[tuple[RLE, ...]] = [()] * len(given)
        yield Answers(given.sample_ids, given.question_indices, given.segmentations, none, numbers)
        return
    chunk: list[Prediction] = []
    numbers, size = [], 0
    for prediction, number in _checked(given, expected, references, predictions.grid, faults):
        chunk.append(prediction)
        numbers.append(number)
        mask = prediction.segmentation
        size += 0 if mask is None else len(mask["counts"])
        size += sum(len(target["counts"]) for target in prediction.targets)
        if len(chunk) >= _CHUNK_PAIRS or size >= _CHUNK_BYTES:
            yield Answers.of(chunk, numbers)
            chunk, numbers, size = [], [], 0
    if chunk:
        yield Answers.of(chunk, numbers)


class _Expected:
    """Everything that a usual prediction is compared with, so that only another one needs the slow `fault_of`."""

    def __init__(self, references: References, grid: Grid) -> None:
        self.number = {sample_id: number for number, sample_id in enumerate(references)}
        self.question_counts = [reference.question_count for reference in references.values()]
        shape = cache(lambda height, width: [*grid.shape(height, width)])
        self.sizes: list[list[int]] = [shape(*r.segmentation["size"]) for r in references.values()]

    def numbers_of(self, columns: PredictionColumns) -> list[int] | None:
        """Return the number of the sample of each prediction; None if any needs a closer look."""
        number, sizes = self.number, self.sizes
        numbers = [number.get(sample_id, -1) for sample_id in columns.sample_ids]
        questions = list(zip(numbers, columns.question_indices, strict=True))
        fits = (
            min(numbers, default=0) >= 0
            and len(set(questions)) == len(questions)
            and all(index < self.question_counts[n] for n, index in questions)
            and all(m is None or m["size"] == sizes[n] for n, m in zip(numbers, columns.segmentations, strict=True))
        )
        return numbers if fits else None


def _checked(
    predictions: Iterable[Prediction], expected: _Expected, references: References, grid: Grid, faults: list[str]
) -> Iterator[tuple[Prediction, int]]:
    """Yield the predictions that fit the references, with the numbers of their samples; append the others' faults."""
    seen: set[Key] = set()
    for prediction in predictions:
        key = (prediction.sample_id, prediction.question_index)
        mask = prediction.segmentation
        number = expected.number.get(key[0], -1)
        fits = number >= 0 and key[1] < expected.question_counts[number]
        fits = fits and (mask is None or mask["size"] == expected.sizes[number])
        if fits and not prediction.targets and key not in seen:
            seen.add(key)
            yield prediction, number
            continue
        if prediction.sample_id in references.left_out:
            continue
        fault = fault_of(prediction, grid, references, hint=len(faults) < PredictionsError.shown)
        if key in seen:
            fault = (
                "predicted more than once; keep one, or unite instances by `--instances union`, in Python by "
                '`open_predictions(path, instances="union")`, for a leaderboard by `pycocotools.mask.merge`'
            )
        seen.add(key)
        if fault:
            faults.append(f"{name_key(key)}: {fault}")
        else:
            yield prediction, number


def fault_of(prediction: Prediction, grid: Grid, references: References, *, hint: bool) -> str | None:
    """Return what is wrong with a prediction, None if nothing is; `hint` also searches for the nearest sample id."""
    reference = references.get(prediction.sample_id)
    if reference is None:
        return f"not in {references.source}{_remedy_for_id(prediction.sample_id, references) if hint else ''}"
    if prediction.question_index >= reference.question_count:
        return f"the sample has {count_of(reference.question_count, 'question')}, counted from 0"
    own = reference.height, reference.width
    expected = grid.shape(*own)
    canvas = None if grid.kind == "native" else own
    for n, target in enumerate(prediction.targets, start=1):
        if fault := _wrong_size(target, expected, canvas) or _wrong_encoding(target):
            return f"mask {n} of {len(prediction.targets)}: {fault}"
    return None if prediction.segmentation is None else _wrong_size(prediction.segmentation, expected, canvas)


def _remedy_for_id(sample_id: str, references: References) -> str:
    """Say how to name a sample that is unknown. The search for the nearest id is slow."""
    if meant := references.meant_by(sample_id):
        return f"; it may mean {' or '.join(map(repr, meant[:3]))}, so write the whole id"
    if (stem := PurePosixPath(sample_id).stem) in references:
        return f"; name it {stem!r}, without folder and ending"
    if nearest := get_close_matches(sample_id, list(references)[:5000], n=1):
        return f"; nearest: {nearest[0]!r}"
    numbers = "; `from_coco(file, images)` turns the numbers of COCO to names" if sample_id.isdecimal() else ""
    return f"; its samples have names such as {next(iter(references), '')!r}{numbers}"


def _wrong_size(mask: RLE, expected: tuple[int, int], own: tuple[int, int] | None) -> str | None:
    height, width = mask["size"]
    return None if (height, width) == expected else describe_wrong_size((height, width), expected, own)


def _wrong_encoding(mask: RLE) -> str | None:
    try:
        validate_rle(mask)
    except RLEError as error:
        return str(error)
    return None
