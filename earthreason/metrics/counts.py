"""Region counts: per question, how many grid pixels two masks cover and share. Integers, nothing else.

Everything the judge reports is computed from such tables, so a protocol costs one pass over the masks and the partial
tables of threads, ranks or machines join by concatenation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from difflib import get_close_matches

import numpy as np

from earthreason.errors import DataFormatError, PredictionsError, RLEError
from earthreason.masks.grids import Grid
from earthreason.masks.kernel import describe_fault
from earthreason.masks.pairs import PairCounts, TruthTable, count_pairs
from earthreason.masks.rle import resample_rle
from earthreason.metrics.references import References
from earthreason.predictions.reader import PredictionSource
from earthreason.types import RLE, Prediction

Key = tuple[str, int]
"""Sample id and question index."""
_CHUNK_PAIRS, _CHUNK_BYTES = 512, 1 << 19


@dataclass(frozen=True)
class RegionCounts:
    """One row per question on one grid; all columns have n elements.

    Attributes:
        sample_id: object array of str.
        question_index: int64.
        intersection, prediction_area, truth_area: int64, pixels on the grid.
        grid_area: int64, all pixels of the grid.
        box_intersection, box_union: int64, of the masks' bounding boxes at the masks' own size, pixels.
        truth_empty: bool, the target has no pixel at its own size.
        prediction_empty: bool, no target was predicted (null or a mask without pixels).
        answered: bool, False where the prediction is missing and scored as empty.
    """

    sample_id: np.ndarray
    question_index: np.ndarray
    intersection: np.ndarray
    prediction_area: np.ndarray
    truth_area: np.ndarray
    grid_area: np.ndarray
    box_intersection: np.ndarray
    box_union: np.ndarray
    truth_empty: np.ndarray
    prediction_empty: np.ndarray
    answered: np.ndarray

    def __len__(self) -> int:
        return len(self.sample_id)

    @property
    def union(self) -> np.ndarray:
        return self.prediction_area + self.truth_area - self.intersection

    def keys(self) -> list[Key]:
        """Sample id and question index of every row."""
        return list(zip(self.sample_id.tolist(), self.question_index.tolist(), strict=True))

    def select(self, rows: np.ndarray) -> RegionCounts:
        """The rows of a bool mask or an index array."""
        return RegionCounts(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    def in_order(self) -> RegionCounts:
        """Sorted by sample id and question, so that sums do not depend on how the table came about."""
        keys = self.keys()
        return self.select(np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64))

    @staticmethod
    def concatenate(parts: Sequence[RegionCounts]) -> RegionCounts:
        """All rows of all parts, in order."""
        columns = (column.name for column in fields(RegionCounts))
        return RegionCounts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})


GridCounts = dict[Grid, RegionCounts]
"""The same questions counted on several grids."""


def table_of_pairs(
    keys: Sequence[Key],
    found: PairCounts,
    truth_of: Sequence[int],
    truth: TruthTable,
    answered: bool = True,
) -> GridCounts:
    """Name the columns of counted pairs."""
    rows = np.asarray(truth_of, np.int64)
    shapes = truth.sizes[rows]
    shared = {
        "sample_id": np.array([key[0] for key in keys], object),
        "question_index": np.array([key[1] for key in keys], np.int64),
        "box_intersection": found.boxes[:, 0],
        "box_union": found.boxes[:, 1],
        "truth_empty": ~found.truth_drawn,
        "prediction_empty": ~found.drawn,
        "answered": np.full(len(keys), answered),
    }
    tables = {}
    for g, grid in enumerate(truth.grids):
        area = shapes.prod(axis=1) if grid.kind == "native" else np.full(len(keys), grid.side**2, np.int64)
        intersection, predicted, target = found.counts[:, g].T
        tables[grid] = RegionCounts(
            intersection=intersection, prediction_area=predicted, truth_area=target, grid_area=area, **shared
        )
    return tables


def join_tables(parts: Iterable[GridCounts], grids: Iterable[Grid]) -> GridCounts:
    """Concatenate tables of different questions, sorted by key."""
    parts = list(parts)
    return {grid: RegionCounts.concatenate([part[grid] for part in parts]).in_order() for grid in grids}


def pack_truth(references: References, grids: Sequence[Grid]) -> TruthTable:
    """The references' masks, in their order, ready to be counted on `grids`."""
    return TruthTable([reference.segmentation for reference in references.values()], grids)


def pack_canvas(references: References, grid: Grid) -> TruthTable:
    """The references' masks put on a canvas, for predictions that lie on it; boxes are then the canvas's."""
    masks = []
    for reference in references.values():
        try:
            masks.append(resample_rle(reference.segmentation, grid))
        except RLEError as error:
            raise DataFormatError(f"{references.source}: sample {reference.sample_id!r}: {error}") from None
    table = TruthTable(masks, [Grid("native")])
    table.grids = (grid,)
    return table


@dataclass(frozen=True)
class _Chunk:
    keys: list[Key]
    masks: list[RLE | None]
    truth_of: list[int]


def count_regions(
    predictions: PredictionSource, references: References, grids: Sequence[Grid], workers: int = 1
) -> GridCounts:
    """Count every prediction on every grid, in chunks, so that memory is bounded by the number of rows.

    Args:
        predictions: read lazily, checked on the way.
        references: the truth.
        grids: where to compare; one, the predictions' own, if they lie on a canvas.
        workers: threads; the compiled loops release the interpreter lock.

    Returns:
        One row per prediction, sorted by sample id and question.

    Raises:
        PredictionsError: unknown or duplicate ids, wrong sizes, broken RLE, unreadable records; all of them together.
    """
    on_canvas = predictions.grid.kind != "native"
    truth = pack_canvas(references, predictions.grid) if on_canvas else pack_truth(references, grids)
    faults: list[str] = []
    parts: list[GridCounts] = []

    def keep(chunk: _Chunk, found: PairCounts) -> None:
        for row in np.flatnonzero(found.faults):
            mask = chunk.masks[row]
            assert mask is not None
            faults.append(f"{name_key(chunk.keys[row])}: {describe_fault(int(found.faults[row]), *mask['size'])}")
        _check_truth(chunk.keys, found, references)
        if on_canvas:
            found.boxes[:] = 0  # a box on the canvas does not compare with one at the image's own size
            # A thin target may have no pixel on the canvas; it is a target all the same.
            found.truth_drawn[:] = [not references[key[0]].is_empty for key in chunk.keys]
        parts.append(table_of_pairs(chunk.keys, found, chunk.truth_of, truth))

    checked = _checked(predictions, references, faults)
    waiting: deque[tuple[_Chunk, Future[PairCounts]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for chunk in _chunks(checked):
            waiting.append((chunk, pool.submit(count_pairs, chunk.masks, chunk.truth_of, truth)))
            if len(waiting) > 2 * workers:
                done, future = waiting.popleft()
                keep(done, future.result())
        for done, future in waiting:
            keep(done, future.result())
    if faults:
        raise PredictionsError(predictions.source, faults)
    if not parts:
        parts = [table_of_pairs([], count_pairs([], [], truth), [], truth)]
    return join_tables(parts, grids)


def count_unanswered(keys: Sequence[Key], references: References, grids: Sequence[Grid]) -> GridCounts:
    """Rows for questions without a prediction, scored as "no target"."""
    truth = pack_truth(references, grids)
    number = {sample_id: n for n, sample_id in enumerate(references)}
    truth_of = [number[key[0]] for key in keys]
    found = count_pairs([None] * len(keys), truth_of, truth)
    _check_truth(keys, found, references)
    return table_of_pairs(keys, found, truth_of, truth, answered=False)


def _check_truth(keys: Sequence[Key], found: PairCounts, references: References) -> None:
    for row in np.flatnonzero(found.truth_faults).tolist():
        reference = references[keys[row][0]]
        fault = describe_fault(int(found.truth_faults[row]), reference.height, reference.width)
        raise DataFormatError(f"{references.source}: sample {reference.sample_id!r}: {fault}")


def _chunks(checked: Iterable[tuple[Key, RLE | None, int]]) -> Iterator[_Chunk]:
    chunk, size = _Chunk([], [], []), 0
    for key, mask, truth_number in checked:
        chunk.keys.append(key)
        chunk.masks.append(mask)
        chunk.truth_of.append(truth_number)
        size += 0 if mask is None else len(mask["counts"])
        if len(chunk.keys) >= _CHUNK_PAIRS or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = _Chunk([], [], []), 0
    if chunk.keys:
        yield chunk


def name_key(key: Key) -> str:
    """A question as messages call it."""
    return f"sample {key[0]!r}" if key[1] == 0 else f"sample {key[0]!r} question {key[1]}"


def _checked(
    predictions: PredictionSource, references: References, faults: list[str]
) -> Iterator[tuple[Key, RLE | None, int]]:
    """Key, mask and number of the truth of every prediction that fits; faults of the others are appended."""
    number = {sample_id: n for n, sample_id in enumerate(references)}
    seen: set[Key] = set()
    for prediction in predictions.read(faults):
        key = (prediction.sample_id, prediction.question_index)
        fault = _fault_of(prediction, predictions.grid, references, hint=len(faults) < PredictionsError.shown)
        if key in seen:
            fault = "predicted more than once; keep one"
        seen.add(key)
        if fault:
            faults.append(f"{name_key(key)}: {fault}")
        else:
            yield key, prediction.segmentation, number[key[0]]


def _fault_of(prediction: Prediction, grid: Grid, references: References, *, hint: bool) -> str | None:
    reference = references.get(prediction.sample_id)
    if reference is None:
        # The search for the nearest id is slow, so only what will be shown gets one.
        nearest = get_close_matches(prediction.sample_id, list(references)[:5000], n=1) if hint else []
        return f"not in {references.source}" + (f"; nearest: {nearest[0]!r}" if nearest else "")
    if prediction.question_index >= reference.question_count:
        return f"the sample has {reference.question_count} questions, counted from 0"
    if prediction.segmentation is not None:
        size = prediction.segmentation["size"]
        expected = grid.shape(reference.height, reference.width)
        if tuple(size) != expected:
            swapped = (size[1], size[0]) == expected
            remedy = "height and width are swapped" if swapped else "save masks at the image's own size"
            return f"mask is {size[0]}x{size[1]} (height x width), expected {expected[0]}x{expected[1]}; {remedy}"
    return None
