"""Merge the masks of several people: by majority vote, by STAPLE, or by an adjudicator's decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from annotation_tools.drawing import Drawing, draw
from annotation_tools.quality.masks import mask_iou
from annotation_tools.release import provenance
from annotation_tools.workspace import Consensus, fingerprints
from earthreason.errors import UnknownNameError


@dataclass(frozen=True)
class Rules:
    """Rules for accepting a merged mask.

    Attributes:
        method: a key of `METHODS`.
        min_iou: lowest IoU at which masks agree.
        min_drawings: number of people who must have drawn an image.
        adjudicators: annotators whose mask is final, whatever others drew.
    """

    method: str = "majority"
    min_iou: float = 0.7
    min_drawings: int = 1
    adjudicators: tuple[str, ...] = ()


def vote(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Return the pixels in more than half of the (height, width) bool masks; of two masks, their intersection."""
    return np.asarray(2 * np.sum(masks, axis=0, dtype=np.int64) > len(masks))


def staple(masks: Sequence[np.ndarray]) -> np.ndarray:
    """Return the pixels with a STAPLE probability above 0.5 (Warfield et al. 2004; SimpleITK): (height, width) bool.

    STAPLE weights the annotators by their estimated reliability.
    """
    import SimpleITK as sitk

    if all(np.array_equal(masks[0], mask) for mask in masks[1:]):
        return np.asarray(masks[0]).copy()
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in masks]
    return np.asarray(sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0)) > 0.5)


METHODS: dict[str, Callable[[Sequence[np.ndarray]], np.ndarray]] = {"majority": vote, "staple": staple}


def adjudicate(drawings: Mapping[str, Sequence[Drawing]], rules: Rules) -> list[Consensus]:
    """Merge the drawings of every image; an entry that is not settled waits for another person.

    Args:
        drawings: drawings by task.
        rules: method and thresholds.

    Raises:
        UnknownNameError: the method is unknown.
    """
    if rules.method not in METHODS:
        raise UnknownNameError("method", rules.method, METHODS)
    return [replace(_settle(list(several), rules), sources=fingerprints(several)) for several in drawings.values()]


def _settle(several: list[Drawing], rules: Rules) -> Consensus:
    behind = [provenance(drawing) for drawing in several]
    lowest = min((mask_iou(a.mask, b.mask) for a, b in combinations(several, 2)), default=None)
    final = [drawing for drawing in several if drawing.annotator in rules.adjudicators]
    if final:
        chosen = max(final, key=lambda drawing: drawing.saved)
        return Consensus(_agreed(chosen.task, chosen.mask, chosen.category), "adjudicator", True, "", lowest, behind)
    if len(several) == 1:
        enough = rules.min_drawings <= 1
        reason = "" if enough else f"1 of {rules.min_drawings} people has drawn it"
        only = several[0]
        return Consensus(_agreed(only.task, only.mask, only.category), "single", enough, reason, None, behind)
    camp = _camp(several)
    mask = METHODS[rules.method]([drawing.mask for drawing in camp])
    category, named = _category(camp)
    reasons = [
        reason
        for reason in (
            ""
            if len(several) >= rules.min_drawings
            else f"{len(several)} of {rules.min_drawings} people have drawn it",
            "" if 2 * len(camp) > len(several) else "half say there is a target, half say there is none",
            _far(camp, mask, rules.min_iou),
            ""
            if named or not mask.any()
            else f"categories differ: {', '.join(sorted({str(d.category) for d in camp}))}",
        )
        if reason
    ]
    agreed = _agreed(several[0].task, mask, category)
    return Consensus(agreed, rules.method, not reasons, "; ".join(reasons), lowest, behind)


def _agreed(task: str, mask: np.ndarray, category: str | None) -> Drawing:
    return draw(task, mask, category, tool="adjudicate")


def _camp(several: list[Drawing]) -> list[Drawing]:
    """Return the drawings of the majority on whether there is a target; on a tie, those with a target."""
    empty = [drawing for drawing in several if drawing.is_empty]
    marked = [drawing for drawing in several if not drawing.is_empty]
    return empty if len(empty) > len(marked) else marked


def _category(camp: list[Drawing]) -> tuple[str | None, bool]:
    """Return the most frequent category, and whether more than half chose it."""
    name, count = Counter(drawing.category for drawing in camp).most_common(1)[0]
    return name, 2 * count > len(camp)


def _far(camp: list[Drawing], mask: np.ndarray, least: float) -> str:
    """Say why masks disagree; empty if they agree.

    Two masks agree if their IoU reaches `least`; more agree if most of them reach it with the merged mask.
    """
    if len(camp) == 2:
        iou = mask_iou(camp[0].mask, camp[1].mask)
        return "" if iou >= least else f"IoU {iou:.2f} is below {least:g}"
    near = sum(mask_iou(drawing.mask, mask) >= least for drawing in camp)
    if 2 * near > len(camp):
        return ""
    return f"{near} of {len(camp)} masks reach an IoU of {least:g} with the merged mask"
