"""The splits that take submissions, and their public facts."""

from __future__ import annotations

import io
import json
import re
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from earthreason.data.load import load_dataset
from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.metrics.protocols import get_protocol, protocol_of
from earthreason.metrics.references import References, read_references, write_references
from earthreason.metrics.truth import references_of

from .hidden import bits_of_split
from .jobs import queue_again
from .tables import Split, Submission
from .versions import count_change

SCENE_SIDE = 288
NAME_PATTERN = r"^[A-Za-z0-9_.-]{1,40}$"
"""Pattern of config and split names; both appear in URLs."""


class NoSplitError(EarthReasonError):
    """The board has no split yet."""

    def __init__(self) -> None:
        super().__init__("this board has no split yet; add one with `earthreason-leaderboard split add`")


@dataclass(frozen=True)
class SplitContent:
    """A split's truth, with thumbnails if its labels are open."""

    references: References
    scenes: bytes | None


def content_of(config: str, split: str, data_dir: Path | None, *, hidden: bool) -> SplitContent:
    """Load a split. A hidden one needs no images."""
    dataset = load_dataset("earthreason", config, split=split, data_dir=data_dir)
    references = references_of(dataset, source=f"{config}/{split}")
    return SplitContent(references, None if hidden else _scenes(dataset))


def content_of_file(path: Path) -> SplitContent:
    """Load a ground-truth file; it has no images."""
    return SplitContent(read_references(path), None)


def _scenes(dataset: Any) -> bytes:
    """Pack thumbnails and questions into a zip."""
    buffer, texts = io.BytesIO(), {}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, row in enumerate(dataset):
            image = row["image"].convert("RGB")
            image.thumbnail((SCENE_SIDE, SCENE_SIDE))
            jpeg = io.BytesIO()
            image.save(jpeg, "JPEG", quality=88)
            archive.writestr(f"{number}.jpg", jpeg.getvalue())
            texts[row["sample_id"]] = {"picture": f"{number}.jpg", "questions": row["questions"]}
        archive.writestr("scenes.json", json.dumps(texts))
    return buffer.getvalue()


def put_split(
    session: Session,
    config: str,
    name: str,
    content: SplitContent,
    *,
    hidden: bool,
    main_protocol: str | None = None,
) -> tuple[Split, int]:
    """Add a split or replace its truth; return it and how many submissions will be scored again.

    Args:
        session: a writing transaction.
        config: config of the split.
        name: name of the split.
        content: truth and thumbnails.
        hidden: whether the labels are secret.
        main_protocol: protocol that ranks the models; by default, a split keeps its own, and a new one has that of its
            config.

    Raises:
        UnknownNameError: there is no such protocol.
    """
    chosen = None if main_protocol is None else get_protocol(main_protocol).name
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "truth.json"
        write_references(file, content.references)
        truth = file.read_bytes()
    references = content.references
    facts: dict[str, Any] = {
        "hidden": hidden,
        "truth_sha256": references.fingerprint(),
        "questions": sum(reference.question_count for reference in references.values()),
        "empty_targets": sum(reference.is_empty for reference in references.values()),
        "truth": truth,
        "samples": json.dumps(public_samples(references)).encode(),
        "scenes": content.scenes,
    }
    split = find_split(session, config, name, lock=True)
    if split is None:
        facts["main_protocol"] = chosen or protocol_of(config).name
        split = Split(config=config, name=name, created=time.time(), **facts)
        session.add(split)
        session.flush()
        count_change(session)
        return split, 0
    facts["main_protocol"] = chosen or split.main_protocol
    changed = any(getattr(split, key) != facts[key] for key in ("truth_sha256", "hidden", "main_protocol"))
    for key, value in facts.items():
        setattr(split, key, value)
    session.flush()
    if not changed:
        return split, 0
    again = queue_again(session, Submission.split_id == split.id)
    count_change(session)  # the first table of the split may be another one
    return split, again


def public_samples(references: References) -> list[dict[str, Any]]:
    """List what a submitter needs to check a file: IDs, sizes and question counts, but no labels."""
    return [
        {"sample_id": r.sample_id, "height": r.height, "width": r.width, "question_count": r.question_count}
        for r in references.values()
    ]


def list_splits(session: Session) -> Sequence[Split]:
    """List all splits, oldest first."""
    return session.scalars(select(Split).order_by(Split.id)).all()


def bits_of(split: Split) -> float | None:
    """Bound what one submission tells of hidden labels, bits; None if they are open."""
    if not split.hidden:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "truth.json"
        file.write_bytes(split.truth)
        return bits_of_split(read_references(file), get_protocol(split.main_protocol))


def find_split(session: Session, config: str, name: str, *, lock: bool = False) -> Split | None:
    """Find a split by its two names, or return None."""
    chosen = select(Split).where(Split.config == config, Split.name == name)
    return session.scalar(chosen.with_for_update() if lock else chosen)


def get_split(session: Session, key: str) -> Split:
    """Find a split by its key, `config/name`.

    Raises:
        UnknownNameError: there is no such split.
    """
    config, _, name = key.partition("/")
    split = None
    if all(re.fullmatch(NAME_PATTERN, part) for part in (config, name)):  # a database rejects NUL characters
        split = find_split(session, config, name)
    if split is None:
        known = [split.key for split in list_splits(session)]
        raise UnknownNameError("split", key, known)
    return split


def close_split(session: Session, key: str, closed: bool) -> None:
    """Stop or resume taking submissions.

    Raises:
        EarthReasonError: there is no such split.
    """
    get_split(session, key).closed = closed


def main_protocols(session: Session) -> dict[str, str]:
    """Return the main protocol by split, first that of the split that the board opens with.

    Test splits come first, then hidden ones.
    """
    splits = sorted(list_splits(session), key=lambda split: (split.name != "test", not split.hidden, split.id))
    return {split.key: split.main_protocol for split in splits}
