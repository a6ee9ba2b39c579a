"""Merge the masks of several people: by majority vote, by STAPLE, or by an adjudicator's decision.

Only people can say that an image has no target. A merged mask without pixels is never taken for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from earthreason.errors import UnknownNameError
from earthreason.masks.rle import union_rles
from earthreason.plurals import count_of
from earthreason.types import RLE

from ..drawing import Drawing
from ..release import provenance
from ..workspace import Consensus, fingerprints
from .crops import crop_masks, whole_masks
from .instances import group_targets
from .masks import mask_iou


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

    STAPLE weights the annotators by their estimated reliability. It counts the background, so the masks must be whole.
    """
    import SimpleITK as sitk

    if all(np.array_equal(masks[0], mask) for mask in masks[1:]):
        return np.asarray(masks[0]).copy()
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in masks]
    return np.asarray(sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0)) > 0.5)


METHODS: dict[str, Callable[[Sequence[np.ndarray]], np.ndarray]] = {"majority": vote, "staple": staple}
_CROPPED = ("majority",)
"""Methods whose result does not depend on the background around all masks."""


def adjudicate(
    drawings: Mapping[str, Sequence[Drawing]], rules: Rules, progress: Callable[[int], object] = lambda _: None
) -> list[Consensus]:
    """Merge the drawings of every image; an entry that is not settled waits for another person.

    Args:
        drawings: drawings by task.
        rules: method and thresholds.
        progress: called with 1 after every task.

    Raises:
        UnknownNameError: the method is unknown.
    """
    if rules.method not in METHODS:
        raise UnknownNameError("method", rules.method, METHODS)
    entries = []
    for several in drawings.values():
        entries.append(replace(_settle(list(several), rules), sources=fingerprints(several)))
        progress(1)
    return entries


def _settle(several: list[Drawing], rules: Rules) -> Consensus:
    behind = [provenance(drawing) for drawing in several]
    final = [drawing for drawing in several if drawing.annotator in rules.adjudicators]
    if len(several) == 1 and not final:
        enough = rules.min_drawings <= 1
        reason = "" if enough else f"1 of {rules.min_drawings} people has drawn it"
        return Consensus(_agreed(several[0]), "single", enough, reason, None, behind)
    crop = crop_masks if rules.method in _CROPPED else whole_masks
    crops = crop([drawing.segmentation for drawing in several])
    lowest = min((mask_iou(one, other) for one, other in combinations(crops.masks, 2)), default=None)
    if final:
        chosen = max(final, key=lambda drawing: drawing.saved)
        return Consensus(_agreed(chosen), "adjudicator", True, "", lowest, behind)
    camp = _camp(several)
    people = [several[index] for index in camp]
    reasons = [
        "" if len(several) >= rules.min_drawings else f"{len(several)} of {rules.min_drawings} people have drawn it",
        "" if 2 * len(camp) > len(several) else "half say there is a target, half say there is none",
    ]
    targets = None
    if any(person.targets is not None for person in people):
        targets, why = _merge_targets(people, rules)
        merged = union_rles(targets) if targets else crops.encode(np.zeros_like(crops.masks[0]))
    else:
        masks = [crops.masks[index] for index in camp]
        mask = METHODS[rules.method](masks)
        merged, why = crops.encode(mask), _far(masks, mask, rules.min_iou)
    category, undecided = _category(people)
    reasons += [why, undecided]
    agreed = _agreed(Drawing(several[0].task, merged, category, targets=targets))
    waits = [reason for reason in reasons if reason]
    return Consensus(agreed, rules.method, not waits, "; ".join(waits), lowest, behind)


def _agreed(drawing: Drawing) -> Drawing:
    category = None if drawing.is_empty else drawing.category
    return Drawing(drawing.task, drawing.segmentation, category, tool="adjudicate", targets=drawing.targets)


def _camp(several: list[Drawing]) -> list[int]:
    """Return the indices of the majority on whether there is a target; on a tie, of those with a target."""
    empty = [index for index, drawing in enumerate(several) if drawing.is_empty]
    marked = [index for index, drawing in enumerate(several) if not drawing.is_empty]
    return empty if len(empty) > len(marked) else marked


def _category(camp: list[Drawing]) -> tuple[str | None, str]:
    """Return the most frequent category, and why it is undecided: empty if more than half chose it."""
    name, count = Counter(drawing.category for drawing in camp).most_common(1)[0]
    if 2 * count > len(camp) or camp[0].is_empty:
        return name, ""
    return name, f"categories differ: {', '.join(sorted({str(drawing.category) for drawing in camp}))}"


def _far(masks: Sequence[np.ndarray], merged: np.ndarray, least: float) -> str:
    """Say why masks disagree; empty if they agree.

    Two masks agree if their IoU reaches `least`; more agree if most of them reach it with the merged mask. Masks with
    foreground never agree on a merged mask without any.
    """
    if len(masks) == 2:
        iou = mask_iou(masks[0], masks[1])
        agree, why = iou >= least, f"IoU {iou:.2f} is below {least:g}"
    else:
        near = sum(mask_iou(mask, merged) >= least for mask in masks)
        agree = 2 * near > len(masks)
        why = f"{near} of {count_of(len(masks), 'mask')} with an IoU of {least:g} or more with the merged mask"
    if not agree:
        return why
    if not merged.any() and any(mask.any() for mask in masks):
        return "people marked pixels, but no pixel is marked by most of them"
    return ""


def _merge_targets(people: list[Drawing], rules: Rules) -> tuple[list[RLE], str]:
    """Merge the separate targets of people who all marked some; say how many differ, empty if none does.

    A target that more than half of the people marked is kept, one that fewer marked is left out, and one that half
    marked differs.
    """
    crop = crop_masks if rules.method in _CROPPED else whole_masks
    groups = group_targets([person.separate for person in people])
    kept: list[RLE] = []
    tied = far = 0
    for group in groups:
        if 2 * len(group) < len(people):
            continue
        crops = crop(list(group.values()))
        mask = METHODS[rules.method](crops.masks)
        if 2 * len(group) == len(people):
            tied += 1
        elif _far(crops.masks, mask, rules.min_iou):
            far += 1
        if mask.any():
            kept.append(crops.encode(mask))
    if tied or far:
        each = [
            f"{tied} marked by half of the people" if tied else "",
            f"{far} with an IoU below {rules.min_iou:g}" if far else "",
        ]
        return kept, f"{tied + far} of {count_of(len(groups), 'target')} disputed: {', '.join(filter(None, each))}"
    return kept, "" if kept else f"of {count_of(len(groups), 'target')} none is marked by most of the people"
