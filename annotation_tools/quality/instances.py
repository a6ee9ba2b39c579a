"""Match the separate targets that several people marked on one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco

from earthreason.masks.rle import validate_rle
from earthreason.types import RLE

FOUND = 0.5
"""IoU above which two targets count as the same in `TargetCounts` (Kirillov et al. 2019)."""


@dataclass(frozen=True)
class TargetCounts:
    """Targets of two people, matched one to one.

    Attributes:
        same: number of matched targets with an IoU above `FOUND`.
        only_first: number of other targets of the first person.
        only_second: number of other targets of the second person.
        iou: sum of the IoU over the matched targets.
    """

    same: int
    only_first: int
    only_second: int
    iou: float

    def __add__(self, other: TargetCounts) -> TargetCounts:
        return TargetCounts(
            self.same + other.same,
            self.only_first + other.only_first,
            self.only_second + other.only_second,
            self.iou + other.iou,
        )

    @property
    def f1(self) -> float | None:
        """Share of targets found by both, None without targets: 2 * same / (2 * same + only_first + only_second)."""
        return self._per_target(self.same)

    @property
    def panoptic(self) -> float | None:
        """Panoptic quality (Kirillov et al. 2019): `f1` times the mean IoU of matched targets; None without targets."""
        return self._per_target(self.iou)

    def _per_target(self, value: float) -> float | None:
        total = self.same + (self.only_first + self.only_second) / 2
        return value / total if total else None


def count_targets(first: Sequence[RLE], second: Sequence[RLE]) -> TargetCounts:
    """Compare the targets of two people.

    Raises:
        RLEError: an encoding is not a mask of its stated size.
    """
    ious = [iou for _, _, iou in match_targets(target_ious(first, second)) if iou > FOUND]
    return TargetCounts(len(ious), len(first) - len(ious), len(second) - len(ious), float(sum(ious)))


def target_ious(first: Sequence[RLE], second: Sequence[RLE]) -> np.ndarray:
    """Return the IoU of every pair of targets: (first, second) float64.

    Raises:
        RLEError: an encoding is not a mask of its stated size.
    """
    if not first or not second:
        return np.zeros((len(first), len(second)))
    rows, columns = ([_checked(rle) for rle in rles] for rles in (first, second))
    return np.asarray(coco.iou(rows, columns, [0] * len(columns)), np.float64)


def _checked(rle: RLE) -> dict[str, object]:
    validate_rle(rle)  # pycocotools hangs or crashes on encodings that are no masks
    return {"size": list(rle["size"]), "counts": rle["counts"].encode("ascii")}


def match_targets(ious: np.ndarray) -> list[tuple[int, int, float]]:
    """Match rows to columns so that the sum of IoU is largest; return row, column and IoU of those that overlap.

    Args:
        ious: (rows, columns) IoU of every pair.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(ious, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column, float(ious[row, column])) for row, column in pairs if ious[row, column] > 0]


def group_targets(people: Sequence[Sequence[RLE]]) -> list[dict[int, RLE]]:
    """Group the targets of several people, at most one of each in a group; return masks by person.

    People are added one by one. A target is matched by its mean IoU with the masks of a group; without overlap it forms
    a new group.

    Raises:
        RLEError: an encoding is not a mask of its stated size.
    """
    groups: list[dict[int, RLE]] = []
    for person, targets in enumerate(people):
        members = [list(group.values()) for group in groups]
        ious = np.zeros((len(groups), len(targets)))
        for row, masks in enumerate(members):
            ious[row] = target_ious(masks, targets).mean(axis=0)
        matched = match_targets(ious)
        for row, column, _ in matched:
            groups[row][person] = targets[column]
        taken = {column for _, column, _ in matched}
        groups += [{person: target} for column, target in enumerate(targets) if column not in taken]
    return groups
