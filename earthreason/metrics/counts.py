"""Region counts: the numbers of grid pixels that two masks cover and share, for every question.

All scores are computed from these tables of integers. One pass over the masks therefore serves every protocol, and the
tables of threads, ranks or machines can be concatenated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

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
_Columns = tuple[tuple[Key, ...], tuple[RLE | None, ...], tuple[int, ...]]
"""Keys and masks of predictions, and rows of their truths."""
_CHUNK_PAIRS, _CHUNK_BYTES = 512, 1 << 19


@dataclass(frozen=True)
class RegionCounts:
    """One row per question on one grid; all columns have n elements.

    Attributes:
        sample_id: sample ids, object array of str.
        question_index: indices of the questions about a sample, int64.
        intersection, prediction_area, truth_area: pixels on the grid, int64.
        grid_area: number of all pixels of the grid, int64.
        box_intersection, box_union: pixels of the masks' bounding boxes at the masks' own size, int64.
        truth_empty: whether the target has no pixel at its own size, bool.
        prediction_empty: whether the prediction is null or has no pixel at its own size, bool.
        answered: whether there is a prediction, bool; missing ones are scored as empty.
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
        """Return the sample id and question index of every row."""
        return list(zip(self.sample_id.tolist(), self.question_index.tolist(), strict=True))

    def select(self, rows: np.ndarray) -> RegionCounts:
        """Return the rows of a bool mask or an index array."""
        return RegionCounts(**{name: column[rows] for name, column in self.columns().items()})

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns by name."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> RegionCounts:
        """Make a table of columns in any type that converts to the declared one."""
        kinds = {"sample_id": object, "truth_empty": bool, "prediction_empty": bool, "answered": bool}
        names = [column.name for column in fields(cls)]
        return cls(**{name: np.asarray(columns[name], kinds.get(name, np.int64)) for name in names})


GridCounts = dict[Grid, RegionCounts]
"""Counts of the same questions on several grids."""


def table_of_pairs(
    keys: Sequence[Key],
    counted: PairCounts,
    truth_of: Sequence[int],
    truth: TruthTable,
    answered: bool = True,
) -> GridCounts:
    """Make a table of each grid from counted pairs; `truth_of` holds the row of each pair's truth."""
    rows = np.asarray(truth_of, np.int64)
    shapes = truth.sizes[rows]
    shared = {
        "sample_id": np.array([key[0] for key in keys], object),
        "question_index": np.array([key[1] for key in keys], np.int64),
        "box_intersection": counted.boxes[:, 0],
        "box_union": counted.boxes[:, 1],
        "truth_empty": ~counted.truth_drawn,
        "prediction_empty": ~counted.drawn,
        "answered": np.full(len(keys), answered),
    }
    tables = {}
    for g, grid in enumerate(truth.grids):
        area = shapes.prod(axis=1) if grid.kind == "native" else np.full(len(keys), grid.side**2, np.int64)
        intersection, predicted, target = counted.counts[:, g].T
        tables[grid] = RegionCounts(
            intersection=intersection, prediction_area=predicted, truth_area=target, grid_area=area, **shared
        )
    return tables


def join_tables(parts: Sequence[GridCounts]) -> GridCounts:
    """Concatenate tables of questions and sort the rows by key, so that sums do not depend on the parts."""
    joined = {}
    for grid in parts[0]:
        columns = [part[grid].columns() for part in parts]
        table = RegionCounts(**{name: np.concatenate([each[name] for each in columns]) for name in columns[0]})
        keys = table.keys()
        joined[grid] = table.select(np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64))
    return joined


def pack_truth(references: References, grids: Sequence[Grid]) -> TruthTable:
    """Pack the masks of the references, in their order, to be counted on `grids`."""
    return TruthTable([reference.segmentation for reference in references.values()], grids)


def pack_canvas(references: References, grid: Grid) -> TruthTable:
    """Resample the reference masks to a canvas, for predictions on it; bounding boxes then refer to the canvas."""
    masks = []
    for reference in references.values():
        try:
            masks.append(resample_rle(reference.segmentation, grid))
        except RLEError as error:
            raise DataFormatError(f"{references.source}: sample {reference.sample_id!r}: {error}") from None
    table = TruthTable(masks, [Grid("native")])
    table.grids = (grid,)
    return table


def count_regions(
    predictions: PredictionSource, references: References, grids: Sequence[Grid], workers: int = 1
) -> GridCounts:
    """Count every prediction on every grid, in chunks, so that memory grows with the number of rows only.

    Args:
        predictions: predictions, read lazily.
        references: ground truth.
        grids: grids to compare on; for predictions on a canvas, only that canvas.
        workers: number of threads; the compiled loops release the interpreter lock.

    Returns:
        Tables of one row per prediction, sorted by sample id and question.

    Raises:
        PredictionsError: unknown or duplicate ids, wrong sizes, broken RLE or unreadable records; lists all of them.
    """
    on_canvas = predictions.grid.kind != "native"
    truth = pack_canvas(references, predictions.grid) if on_canvas else pack_truth(references, grids)
    faults: list[str] = []
    parts: list[GridCounts] = []

    def keep(keys: Sequence[Key], masks: Sequence[RLE | None], truth_of: Sequence[int], counted: PairCounts) -> None:
        for row in np.flatnonzero(counted.faults).tolist():
            mask = masks[row]
            assert mask is not None
            faults.append(f"{name_key(keys[row])}: {describe_fault(int(counted.faults[row]), *mask['size'])}")
        _check_truth(keys, counted, references)
        if on_canvas:
            counted.boxes[:] = 0  # a box on the canvas does not compare with one at the image's own size
            # A thin target may have no pixel on the canvas, but it is still a target.
            counted.truth_drawn[:] = [not references[key[0]].is_empty for key in keys]
        parts.append(table_of_pairs(keys, counted, truth_of, truth))

    waiting: deque[tuple[_Columns, Future[PairCounts]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for keys, masks, truth_of in _chunks(_checked(predictions, references, faults)):
            waiting.append(((keys, masks, truth_of), pool.submit(count_pairs, masks, truth_of, truth)))
            if len(waiting) > 2 * workers:
                columns, future = waiting.popleft()
                keep(*columns, future.result())
        for columns, future in waiting:
            keep(*columns, future.result())
    if faults:
        raise PredictionsError(predictions.source, faults)
    if not parts:
        parts = [table_of_pairs([], count_pairs([], [], truth), [], truth)]
    return join_tables(parts)


def count_unanswered(keys: Sequence[Key], references: References, grids: Sequence[Grid]) -> GridCounts:
    """Count questions without a prediction as "no target"."""
    truth = pack_truth(references, grids)
    number = {sample_id: n for n, sample_id in enumerate(references)}
    truth_of = [number[key[0]] for key in keys]
    counted = count_pairs([None] * len(keys), truth_of, truth)
    _check_truth(keys, counted, references)
    return table_of_pairs(keys, counted, truth_of, truth, answered=False)


def _check_truth(keys: Sequence[Key], counted: PairCounts, references: References) -> None:
    for row in np.flatnonzero(counted.truth_faults).tolist():
        reference = references[keys[row][0]]
        fault = describe_fault(int(counted.truth_faults[row]), reference.height, reference.width)
        raise DataFormatError(f"{references.source}: sample {reference.sample_id!r}: {fault}")


def _chunks(checked: Iterable[tuple[Key, RLE | None, int]]) -> Iterator[_Columns]:
    rows: list[tuple[Key, RLE | None, int]] = []
    size = 0
    for row in checked:
        rows.append(row)
        size += 0 if row[1] is None else len(row[1]["counts"])
        if len(rows) >= _CHUNK_PAIRS or size >= _CHUNK_BYTES:
            yield _columns(rows)
            rows, size = [], 0
    if rows:
        yield _columns(rows)


def _columns(rows: Sequence[tuple[Key, RLE | None, int]]) -> _Columns:
    keys, masks, truth_of = zip(*rows, strict=True)
    return keys, masks, truth_of


def name_key(key: Key) -> str:
    """Name a question in messages."""
    return f"sample {key[0]!r}" if key[1] == 0 else f"sample {key[0]!r} question {key[1]}"


def _checked(
    predictions: PredictionSource, references: References, faults: list[str]
) -> Iterator[tuple[Key, RLE | None, int]]:
    """Yield key, mask and row of the truth of every valid prediction; append the faults of the others."""
    # Everything that a valid prediction is compared with, so that only an invalid one needs the slow `_fault_of`.
    expected = {
        sample_id: (row, reference.question_count, [*predictions.grid.shape(reference.height, reference.width)])
        for row, (sample_id, reference) in enumerate(references.items())
    }
    seen: set[Key] = set()
    for prediction in predictions.read(faults):
        key = (prediction.sample_id, prediction.question_index)
        mask = prediction.segmentation
        row, questions, size = expected.get(key[0], (-1, 0, []))
        if key[1] < questions and (mask is None or mask["size"] == size) and key not in seen:
            seen.add(key)
            yield key, mask, row
            continue
        fault = _fault_of(prediction, predictions.grid, references, hint=len(faults) < PredictionsError.shown)
        if key in seen:
            fault = "predicted more than once; keep one"
        seen.add(key)
        if fault:
            faults.append(f"{name_key(key)}: {fault}")
        else:
            yield key, mask, row  # a size that is not a list


def _fault_of(prediction: Prediction, grid: Grid, references: References, *, hint: bool) -> str | None:
    reference = references.get(prediction.sample_id)
    if reference is None:
        # The search for the nearest id is slow, so only messages that will be shown get one.
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
