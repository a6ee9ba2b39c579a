"""Read a workspace as samples: the agreed masks with their provenance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from earthreason.data.pictures import rgb_content
from earthreason.data.schema import SPLITS, Record
from earthreason.errors import EarthReasonError
from earthreason.masks.png import encode_mask_png
from earthreason.masks.rle import decode_rle
from earthreason.plurals import count_of
from earthreason.types import RLE

from .drawing import Drawing
from .gold import gold, without_gold
from .rulings import apply_rulings, returned_comments
from .workspace import AnnotationTask, Consensus, Workspace


class AgreedSamples:
    """The settled samples of a workspace, as a `Source`.

    Attributes:
        name: name of the format.
        counts: number of samples by split.
        undrawn: tasks without a drawing (of the annotator, if one is given).
        unadjudicated: tasks drawn after the last `adjudicate`.
        unsettled: tasks that wait for a third person.
        gold: gold tasks, which are left out.
        apart: tasks with several separate targets.
        returned: comments by task that were sent back to be drawn again.
    """

    name = "workspace"

    def __init__(self, workspace: Workspace, annotator: str | None = None, with_targets: bool = True) -> None:
        """Read the consensus, or the drawings of one annotator.

        Args:
            workspace: workspace to read.
            annotator: read this person's drawings instead of the consensus.
            with_targets: give the masks of separate targets besides their union.

        Raises:
            EarthReasonError: nothing is settled; see also `settled_entries`.
        """
        self._workspace, self._with_targets = workspace, with_targets
        self.gold = list(gold(workspace))
        self.entries = settled_entries(workspace, annotator)
        drawn = without_gold(workspace, workspace.drawings())
        self.apart = [task for task, entry in self.entries.items() if several_targets(entry.drawing)]
        self.returned = returned_comments(workspace)
        written = without_gold(workspace, workspace.consensus()) if annotator is None else {}
        consensus = apply_rulings(workspace, drawn, written) if annotator is None else {}
        waiting = [task for task, entry in consensus.items() if not entry.settled]
        self.unsettled = [task for task in waiting if task not in self.returned]
        known = {*(drawn if annotator is None else self.entries), *self.gold}
        self.undrawn = [task for task in workspace.tasks if task not in known]
        self.unadjudicated = [task for task in drawn if written and task not in consensus]
        if not self.entries:
            raise EarthReasonError(f"{workspace.root}: no image has a settled mask; draw, collect and adjudicate first")
        splits = Counter(workspace.tasks[task].split for task in self.entries)
        self.counts = {split: splits[split] for split in SPLITS if splits[split]}

    def read(self, split: str) -> Iterator[Record]:
        """Yield the records of a split, in the order of the tasks."""
        for name, task in self._workspace.tasks.items():
            if task.split == split and name in self.entries:
                record = _record(task, self.entries[name], self._workspace.picture(name))
                yield record if self._with_targets else replace(record, targets=None)


def settled_entries(workspace: Workspace, annotator: str | None = None) -> dict[str, Consensus]:
    """Return the settled masks by task, without gold tasks.

    Raises:
        EarthReasonError: the annotator drew nothing, several people drew an image and nothing was adjudicated, or
            drawings changed after the adjudication.
    """
    drawings = without_gold(workspace, workspace.drawings())
    if annotator is not None:
        own = {task: [d for d in several if d.annotator == annotator] for task, several in drawings.items()}
        if not any(own.values()):
            known = sorted({d.annotator for several in drawings.values() for d in several})
            raise EarthReasonError(
                f"{workspace.root}: {annotator!r} drew nothing; annotators: {', '.join(known) or 'none'}"
            )
        return {task: _alone(several[0]) for task, several in own.items() if several}
    written = without_gold(workspace, workspace.consensus())
    consensus = apply_rulings(workspace, drawings, written, alone=True)
    if not written:
        twice = [task for task, several in drawings.items() if len(several) > 1 and task not in consensus]
        if twice:
            raise EarthReasonError(
                f"{workspace.root}: {count_of(len(twice), 'image was', 'images were')} drawn by several people "
                f"({twice[0]!r}, ...); run `adjudicate` first, or choose a person with --annotator"
            )
        single = {task: _alone(several[0]) for task, several in drawings.items() if task not in consensus}
        return single | {task: entry for task, entry in consensus.items() if entry.settled}
    stale = [task for task, entry in consensus.items() if not entry.is_of(drawings.get(task, []))]
    if stale:
        raise EarthReasonError(
            f"{workspace.root}: {count_of(len(stale), 'image was', 'images were')} drawn again, or drawings withdrawn, "
            f"after `adjudicate` ({stale[0]!r}, ...); run it again"
        )
    return {task: entry for task, entry in consensus.items() if entry.settled}


def _alone(drawing: Drawing) -> Consensus:
    return Consensus(drawing, "single", True, behind=[provenance(drawing)])


def several_targets(drawing: Drawing) -> list[RLE] | None:
    """Return the masks of separate targets; None if there is one mask, as in `Record.targets`."""
    return drawing.targets if drawing.targets is not None and len(drawing.targets) > 1 else None


def provenance(drawing: Drawing) -> dict[str, Any]:
    """Return annotator, time, seconds, tool and version of a drawing."""
    return {name: getattr(drawing, name) for name in ("annotator", "created", "seconds", "tool", "version")}


def _record(task: AnnotationTask, entry: Consensus, picture: Path) -> Record:
    content, (height, width) = rgb_content(picture.read_bytes(), picture)
    drawing = entry.drawing
    annotation: dict[str, Any] = {"method": entry.method, "iou": entry.iou, "drawings": entry.behind}
    answers = [] if drawing.is_empty else task.answers
    if answers != task.answers:
        annotation["answers_dropped"] = task.answers
    targets = several_targets(drawing)
    extra: dict[str, Any] = {"annotation": annotation}
    if task.transform is not None:
        extra["georeference"] = {"transform": task.transform, "crs": task.crs}
    return Record(
        sample_id=task.task,
        image=content,
        mask=encode_mask_png(drawing.mask),
        height=height,
        width=width,
        is_empty=drawing.is_empty,
        questions=task.questions or [""],
        answers=answers,
        category=None if drawing.is_empty else drawing.category or task.category,
        ground_resolution=task.ground_resolution,
        source=task.source,
        reasoning_type=task.reasoning_type,
        unseen=task.unseen,
        extra=json.dumps(extra, ensure_ascii=False, sort_keys=True),
        targets=None if targets is None else [encode_mask_png(decode_rle(target)) for target in targets],
    )
