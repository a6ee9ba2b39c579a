"""Find the masks that reviewers rejected, to send them back to be drawn again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earthreason.errors import EarthReasonError
from earthreason.masks.png import encode_mask_png

from ..release import settled_entries
from ..reviewed import mask_hash
from ..rulings import Return
from ..workspace import Workspace
from .schema import STORE
from .store import ReviewStore

WRONG_MASK = ("wrong-mask", "wrong-empty")
"""Reasons that are about the mask and not about the question."""


@dataclass(frozen=True)
class Rejected:
    """Masks that reviewers rejected.

    Attributes:
        returns: those of the current drawings.
        changed: tasks that have another mask by now.
        unknown: samples that are no task of the workspace.
    """

    returns: list[Return]
    changed: list[str]
    unknown: list[str]


def rejected_masks(workspace: Workspace, review: Path) -> Rejected:
    """List the masks that were rejected in a review, with what the reviewers said.

    Raises:
        DataNotFoundError: the folder has no review.
        EarthReasonError: no sample of the review is a task of the workspace.
    """
    store = ReviewStore(review / STORE)
    try:
        masks = dict(store.rows("SELECT sample_id, mask FROM samples"))
        verdicts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        everything = list(store.verdicts())
        kept = {_question(entry) for entry in everything if entry["round"] == 0 and entry["verdict"] != "reject"}
        for verdict in everything:
            wrong = verdict["verdict"] == "reject" and set(verdict["reasons"]) & set(WRONG_MASK)
            if wrong and _question(verdict) not in kept:  # the lead may have overruled it
                verdicts[verdict["sample_id"]].append(verdict)
    finally:
        store.close()
    if not set(masks) & set(workspace.tasks):
        raise EarthReasonError(f"{review} is not a review of {workspace.root}: no sample is one of its tasks")
    drawings = workspace.drawings()
    settled = settled_entries(workspace) if verdicts else {}
    found = Rejected([], [], [])
    for task, several in verdicts.items():
        if task not in workspace.tasks:
            found.unknown.append(task)
            continue
        path = review / masks[task]
        entry = settled.get(task)
        shown = mask_hash(path.read_bytes(), path)
        if entry is None or mask_hash(encode_mask_png(entry.drawing.mask), path) != shown:
            found.changed.append(task)
            continue
        found.returns.append(
            Return(
                task,
                "; ".join(dict.fromkeys(map(_said, several))),
                sorted({verdict["reviewer"] for verdict in several}),
                max(verdict["saved"] for verdict in several),
                sorted(drawing.fingerprint for drawing in drawings[task]),
            )
        )
    return found


def _question(verdict: dict[str, Any]) -> tuple[str, str, int]:
    return verdict["split"], verdict["sample_id"], verdict["number"]


def _said(verdict: dict[str, Any]) -> str:
    reasons = ", ".join(reason for reason in verdict["reasons"] if reason in WRONG_MASK)
    return f"{verdict['note']} ({reasons})" if verdict["note"] else reasons
