"""Ground truth packed for counting: every mask on every grid that the views need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from earthreason.errors import DataFormatError, RLEError
from earthreason.masks.grids import Grid
from earthreason.masks.kernel import describe_fault
from earthreason.masks.pairs import PairCounts, TruthTable, count_pairs
from earthreason.masks.rle import decode_rle, encode_mask, resample_rle, stretch_rle
from earthreason.metrics.counts import RegionCounts, ViewCounts, name_key
from earthreason.metrics.protocols import Unit, View
from earthreason.metrics.references import References
from earthreason.types import RLE, Prediction

OWN_SIZE = Grid("native")


@dataclass(frozen=True)
class Answers:
    """Columns of n predictions whose ids and sizes were checked.

    Attributes:
        sample_ids, question_indices: the questions, all different.
        masks: mask of each; None is "no target".
        targets: masks of the separate targets of each; empty if it has one mask.
        numbers: number of each sample in the order of the references.
        failed: whether each is a failure to answer; empty if none is.
    """

    sample_ids: Sequence[str]
    question_indices: Sequence[int]
    masks: Sequence[RLE | None]
    targets: Sequence[tuple[RLE, ...]]
    numbers: Sequence[int]
    failed: Sequence[bool] = ()

    @classmethod
    def of(cls, predictions: Sequence[Prediction], numbers: Sequence[int]) -> Answers:
        """Make the columns of predictions."""
        return cls(
            [p.sample_id for p in predictions],
            [p.question_index for p in predictions],
            [p.segmentation for p in predictions],
            [p.targets for p in predictions],
            numbers,
            [p.failure is not None for p in predictions],
        )

    def __len__(self) -> int:
        return len(self.numbers)


class PackedTruth:
    """Ground truth packed for counting in several views.

    Predictions are at the images' own size, or all on one canvas. In the second case the truth is resampled to that
    canvas, and bounding boxes are left out, because one on the canvas does not compare with one at the own size.
    """

    def __init__(self, references: References, views: Sequence[View], canvas: Grid = OWN_SIZE) -> None:
        """Pack the masks of `references`.

        Args:
            references: ground truth.
            views: what to count; each must accept `canvas`.
            canvas: grid of the predictions.

        Raises:
            DataFormatError: a mask of the ground truth is invalid, or a pixel is both target and ignored; names it.
        """
        by_unit: dict[Unit, list[View]] = {}
        for view in views:
            by_unit.setdefault(view.unit, []).append(view)
        self._units = [_PackedUnit(references, of_unit, canvas) for of_unit in by_unit.values()]

    def count(self, answers: Answers, *, answered: bool = True, threads: int = 1) -> tuple[ViewCounts, list[str]]:
        """Count predictions.

        Args:
            answers: predictions.
            answered: whether they are given, or stand for missing ones.
            threads: number of threads that compare masks.

        Returns:
            Rows of every prediction by view, and messages about invalid encodings.

        Raises:
            DataFormatError: a mask of the ground truth is invalid; names the sample.
        """
        tables: ViewCounts = {}
        faults: dict[str, None] = {}  # several rows may share a mask, whose fault is listed once
        for unit in self._units:
            tables |= unit.count(answers, answered, faults, threads)
        return tables, list(faults)


def assign_masks(masks: Sequence[RLE | None], count: int) -> list[RLE | None]:
    """Assign predicted masks to `count` true ones by order, as SegEarth-R2's eval.py: repeat the last, or cut off."""
    return [*masks[:count], *[masks[-1]] * (count - len(masks))]


def _assign_all(answers: Answers, lengths: np.ndarray) -> list[RLE | None]:
    rows = zip(answers.masks, answers.targets, lengths.tolist(), strict=True)
    return [mask for whole, parts, count in rows for mask in assign_masks(parts or (whole,), count)]


class _PackedUnit:
    """Ground truth of the views with one unit: one row per sample, or per target."""

    def __init__(self, references: References, views: Sequence[View], canvas: Grid) -> None:
        self._source, self._views, self._canvas = references.source, views, canvas
        self._per_mask = views[0].unit == "mask"
        groups = [(self._per_mask and r.targets) or (r.segmentation,) for r in references.values()]
        self._lengths = np.array([len(group) for group in groups], np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._owners = [r for r, group in zip(references.values(), groups, strict=True) for _ in group]
        masks = [mask for group in groups for mask in group]
        self._sizes = np.array([mask["size"] for mask in masks], np.int64).reshape(-1, 2)
        # On a canvas, the truth is resampled first and then compared as it is.
        grids = dict.fromkeys(view.grid for view in views if not view.stretch_truth)
        if any(view.ignore for view in views):  # whether an answer is empty depends on the images' own size
            grids[OWN_SIZE] = None
        self._grids = list(grids) if grids and canvas == OWN_SIZE else [OWN_SIZE]
        self._truth = self._pack(masks)
        self._empty = None if canvas == OWN_SIZE else self._find_empty(masks)
        self._stretched = {
            view: TruthTable(self._place(masks, partial(stretch_rle, side=view.grid.side)), [OWN_SIZE])
            for view in views
            if view.stretch_truth
        }
        self._ignored_at = np.full(len(masks), -1, np.int64)
        self._ignored: TruthTable | None = None
        if any(view.ignore for view in views):
            self._pack_ignored(masks)

    def _place(self, masks: Sequence[RLE], place: Callable[[RLE], RLE]) -> list[RLE]:
        return [self._named(row, place, mask) for row, mask in enumerate(masks)]

    def _named(self, row: int, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except RLEError as error:
            raise DataFormatError(f"{self._source}: sample {self._owners[row].sample_id!r}: {error}") from None

    def _pack(self, masks: Sequence[RLE]) -> TruthTable:
        on_canvas = self._canvas != OWN_SIZE
        placed = self._place(masks, lambda mask: resample_rle(mask, self._canvas)) if on_canvas else masks
        return TruthTable(placed, self._grids)

    def _find_empty(self, masks: Sequence[RLE]) -> np.ndarray:
        own = TruthTable(masks, [OWN_SIZE])
        return ~count_pairs([None] * len(masks), range(len(masks)), own).truth_drawn

    def _pack_ignored(self, masks: Sequence[RLE]) -> None:
        rows = [row for row, owner in enumerate(self._owners) if owner.ignore is not None]
        ignored = [ignore for owner in self._owners if (ignore := owner.ignore) is not None]
        if not rows:
            return
        self._ignored_at[rows] = np.arange(len(rows))
        shared = count_pairs([masks[row] for row in rows], range(len(rows)), TruthTable(ignored, [OWN_SIZE]))
        self._check(rows, shared)
        for n, row in enumerate(rows):
            if shared.counts[n, 0, 0]:
                raise DataFormatError(
                    f"{self._source}: sample {self._owners[row].sample_id!r}: {shared.counts[n, 0, 0]} pixels are both "
                    "target and ignored; remove them from one of the two masks"
                )
        if self._canvas != OWN_SIZE:
            ignored = [resample_rle(mask, self._canvas) for mask in ignored]
        self._ignored = TruthTable(ignored, self._grids)

    def _check(self, rows: Sequence[int] | np.ndarray, counted: PairCounts) -> None:
        for n in np.flatnonzero(counted.truth_faults).tolist():
            owner = self._owners[rows[n]]
            fault = describe_fault(int(counted.truth_faults[n]), owner.height, owner.width)
            raise DataFormatError(f"{self._source}: sample {owner.sample_id!r}: {fault}")

    def count(self, answers: Answers, answered: bool, faults: dict[str, None], threads: int) -> ViewCounts:
        """Count every prediction in every view; add messages about invalid encodings to `faults`."""
        numbers = np.asarray(answers.numbers, np.int64)
        lengths = self._lengths[numbers]
        answer_of = np.repeat(np.arange(len(answers)), lengths)  # (rows,)
        target_index = np.arange(answer_of.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        truth_of = self._starts[numbers][answer_of] + target_index
        sample_id = np.array(answers.sample_ids, object)[answer_of]
        question_index = np.array(answers.question_indices, np.int64)[answer_of]
        masks = answers.masks if not self._per_mask else _assign_all(answers, lengths)
        counted = count_pairs(masks, truth_of, self._truth, threads)
        self._check(truth_of, counted)
        if broken := np.flatnonzero(counted.faults).tolist():
            masks = list(masks)
            for row in broken:
                mask = masks[row]
                assert mask is not None
                key = sample_id[row], int(question_index[row])
                faults[f"{name_key(key)}: {describe_fault(int(counted.faults[row]), *mask['size'])}"] = None
                masks[row] = None
        if self._empty is not None:
            counted.boxes[:] = 0
            # A thin target may have no pixel on the canvas, but it is still a target.
            counted.truth_drawn[:] = ~self._empty[truth_of]
        ignored = self._count_ignored(masks, truth_of, threads)
        shared: dict[str, np.ndarray] = {
            "sample_id": sample_id,
            "question_index": question_index,
            "target_index": target_index,
            "box_intersection": counted.boxes[:, 0],
            "box_union": counted.boxes[:, 1],
            "truth_empty": ~counted.truth_drawn,
            "answered": np.full(len(masks), answered),
            "failed": np.array(answers.failed or [False] * len(answers), bool)[answer_of],
        }
        return {view: self._table(view, masks, truth_of, counted, ignored, shared, threads) for view in self._views}

    def _count_ignored(self, masks: Sequence[RLE | None], truth_of: np.ndarray, threads: int) -> np.ndarray:
        """Count the ignored pixels of each prediction: (n, grids) int64."""
        pixels = np.zeros((len(masks), len(self._grids)), np.int64)
        if self._ignored is not None:
            rows = np.flatnonzero(self._ignored_at[truth_of] >= 0)
            judged = [masks[row] for row in rows.tolist()]
            counted = count_pairs(judged, self._ignored_at[truth_of[rows]], self._ignored, threads)
            pixels[rows] = counted.counts[:, :, 0]
        return pixels

    def _table(
        self,
        view: View,
        masks: Sequence[RLE | None],
        truth_of: np.ndarray,
        counted: PairCounts,
        ignored: np.ndarray,
        shared: dict[str, np.ndarray],
        threads: int,
    ) -> RegionCounts:
        drawn = counted.drawn
        if view.stretch_truth:
            sizes = self._sizes[truth_of].tolist()
            placed = [
                None if mask is None else place_prediction(mask, size, self._canvas, view.grid)
                for mask, size in zip(masks, sizes, strict=True)
            ]
            stretched = count_pairs(placed, truth_of, self._stretched[view], threads)
            intersection, predicted, target = stretched.counts[:, 0].T
        else:
            g = 0 if self._canvas != OWN_SIZE else self._grids.index(view.grid)
            intersection, predicted, target = counted.counts[:, g].T
            if view.ignore:
                predicted = predicted - ignored[:, g]
                own_size = self._grids.index(OWN_SIZE)
                drawn = counted.counts[:, own_size, 1] > ignored[:, own_size]
        own = view.grid == OWN_SIZE
        return RegionCounts(
            intersection=intersection,
            prediction_area=predicted,
            truth_area=target,
            grid_area=self._sizes[truth_of].prod(axis=1) if own else np.full(len(masks), view.grid.side**2, np.int64),
            prediction_empty=~drawn,
            **shared,
        )


def place_prediction(mask: RLE, size: tuple[int, int], canvas: Grid, grid: Grid) -> RLE:
    """Place a predicted mask of `canvas` on `grid`, which accepts it; `size` is (height, width) of the image."""
    if canvas == grid:
        return mask
    if canvas == OWN_SIZE:
        return resample_rle(mask, grid)
    top, left = canvas.padding(*size)  # from the centre to the corner: the padding moves below and to the right
    return encode_mask(np.roll(decode_rle(mask), (-top, -left), axis=(0, 1)))
