"""What can be wrong with a release, read off the facts of its files. A new rule is one function in `RULES`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from earthreason.data.audit.facts import Facts
from earthreason.data.schema import SPLITS
from earthreason.data.sources.base import ON_DISK
from earthreason.data.sources.release import FOLDERS

Severity = Literal["error", "warning"]
NEAR = 12
"""Perceptual hashes of 256 bits that differ in at most so many look the same; unrelated ones differ in about 128."""


@dataclass(frozen=True)
class Finding:
    """Something wrong.

    Attributes:
        rule: which rule found it.
        severity: errors make the audit fail.
        message: what and where.
        samples: "split/stem" of the samples concerned.
    """

    rule: str
    severity: Severity
    message: str
    samples: tuple[str, ...]


class Table:
    """All facts, for the rules."""

    def __init__(self, facts: list[Facts]) -> None:
        self.facts = facts
        self._by_part: dict[tuple[str, str], list[Facts]] = defaultdict(list)
        for fact in facts:
            self._by_part[fact.part, fact.split].append(fact)

    def of(self, part: str, split: str) -> list[Facts]:
        """Facts of the files of samples, readable or not."""
        return [fact for fact in self._by_part[part, split] if not fact.stray]

    def readable(self, part: str, split: str | None = None) -> list[Facts]:
        """Facts of files that could be read, of one split or of all."""
        splits = SPLITS if split is None else (split,)
        return [fact for name in splits for fact in self.of(part, name) if fact.problem is None]

    def samples(self) -> Iterator[dict[str, Facts]]:
        """Image, label and questions of every sample of which all three can be read."""
        by_key: dict[tuple[str, str], dict[str, Facts]] = defaultdict(dict)
        for part in FOLDERS:
            for fact in self.readable(part):
                by_key[fact.split, fact.stem][part] = fact
        return (parts for parts in by_key.values() if len(parts) == len(FOLDERS))


def name_of(fact: Facts) -> str:
    """The sample of a file, as findings name it."""
    return f"{ON_DISK[fact.split]}/{fact.stem}"


def unpaired_stems(table: Table) -> Iterator[Finding]:
    """A sample lacks its image, label or questions, or has two of one."""
    for split in SPLITS:
        stems = {part: Counter(fact.stem for fact in table.of(part, split)) for part in FOLDERS}
        for stem in sorted(set().union(*stems.values())):
            lacking = [part for part in FOLDERS if not stems[part][stem]]
            twice = [part for part in FOLDERS if stems[part][stem] > 1]
            sample = f"{ON_DISK[split]}/{stem}"
            if lacking:
                yield Finding("unpaired", "error", f"{sample}: nothing in {' and '.join(lacking)}", (sample,))
            if twice:
                yield Finding("unpaired", "error", f"{sample}: several files in {' and '.join(twice)}", (sample,))


def stray_files(table: Table) -> Iterator[Finding]:
    """A file whose ending is that of no image, label or question file; the loader leaves it out."""
    for fact in table.facts:
        if fact.stray:
            message = f"{fact.path}: left out; files of {fact.part} end with {' or '.join(FOLDERS[fact.part])}"
            yield Finding("stray", "warning", message, (name_of(fact),))


def unreadable_files(table: Table) -> Iterator[Finding]:
    """The loader refuses a file: it is cut off, of another format, or not what its folder says."""
    for fact in table.facts:
        if fact.problem:
            yield Finding("unreadable", "error", f"{fact.path}: {fact.problem}", (name_of(fact),))


def sizes_that_differ(table: Table) -> Iterator[Finding]:
    """Image and label have different sizes."""
    for parts in table.samples():
        image, label = parts["images"], parts["labels"]
        if image.values["size"] != label.values["size"]:
            sizes = " and ".join("x".join(map(str, f.values["size"])) for f in (image, label))
            sample = name_of(image)
            yield Finding("size", "error", f"{sample}: image and label are {sizes} (height x width)", (sample,))


def labels_with_many_levels(table: Table) -> Iterator[Finding]:
    """A label has more than two values, or more than 8 bits; any non-zero value is read as target."""
    for fact in table.readable("labels"):
        if fact.values["levels"] > 2:
            message = f"{fact.path}: {fact.values['levels']} values; any but 0 is read as target"
            yield Finding("levels", "warning", message, (name_of(fact),))
        elif fact.values["mode"].startswith(("I", "F")):
            message = f"{fact.path}: mode {fact.values['mode']}; a label has 8 bits. Any value but 0 is read as target"
            yield Finding("levels", "warning", message, (name_of(fact),))


def masks_that_contradict_answers(table: Table) -> Iterator[Finding]:
    """An answer to an empty mask, or none to a mask with pixels."""
    for parts in table.samples():
        area, answers, sample = parts["labels"].values["area"], parts["QAs"].values["answers"], name_of(parts["QAs"])
        if not area and answers:
            yield Finding("contradiction", "error", f"{sample}: the mask is empty but there are answers", (sample,))
        if area and not answers:
            message = f"{sample}: the mask has {area} pixels but there is no answer"
            yield Finding("contradiction", "error", message, (sample,))


def questions_that_are_empty_or_repeated(table: Table) -> Iterator[Finding]:
    """An empty question, or the same twice."""
    for fact in table.readable("QAs"):
        questions = [question.strip() for question in fact.values["questions"]]
        sample = name_of(fact)
        if not all(questions):
            yield Finding("questions", "error", f"{sample}: a question is empty", (sample,))
        for text, count in Counter(filter(None, questions)).items():
            if count > 1:
                yield Finding("questions", "warning", f"{sample}: asked {count} times: {text!r}", (sample,))


def encodings(table: Table) -> Iterator[Finding]:
    """Byte order marks, pictures that are not RGB, rotations that only the EXIF header knows."""
    for fact in table.readable("QAs"):
        if fact.values["bom"]:
            message = f"{fact.path}: begins with a byte order mark; it is skipped"
            yield Finding("encoding", "warning", message, (name_of(fact),))
    for fact in table.readable("images"):
        if fact.values["mode"] != "RGB":
            message = f"{fact.path}: mode {fact.values['mode']}; it is read as RGB"
            yield Finding("encoding", "warning", message, (name_of(fact),))
        if fact.values["rotated"]:
            message = f"{fact.path}: has an EXIF rotation; viewers turn it, its label lies on the stored pixels"
            yield Finding("encoding", "warning", message, (name_of(fact),))


def duplicate_images(table: Table) -> Iterator[Finding]:
    """The same file twice; across splits it is leakage."""
    by_hash: dict[str, list[Facts]] = defaultdict(list)
    for fact in table.readable("images"):
        by_hash[fact.values["sha256"]].append(fact)
    for same in by_hash.values():
        if len(same) > 1:
            yield _alike("duplicate", "the same image", same)


def near_duplicate_images(table: Table) -> Iterator[Finding]:
    """Images that look the same: perceptual hashes (imagehash) at most `NEAR` of 256 bits apart."""
    facts = [fact for fact in table.readable("images") if not fact.values["flat"]]
    if not facts:
        return
    bits = np.array([_words(fact.values["phash"]) for fact in facts])
    seen: set[str] = set()
    for number, fact in enumerate(facts):
        distance = np.bitwise_count(bits[number + 1 :] ^ bits[number]).sum(axis=1)
        later = (facts[number + 1 + n] for n in np.flatnonzero(distance <= NEAR))
        alike = [fact, *(other for other in later if name_of(other) != name_of(fact))]
        distinct = {other.values["sha256"] for other in alike}
        if len(distinct) > 1 and fact.path not in seen:
            seen.update(other.path for other in alike)
            yield _alike("near-duplicate", "images that look the same", alike)


def _words(phash: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(phash), np.uint64)


def _alike(rule: str, what: str, facts: list[Facts]) -> Finding:
    names = tuple(name_of(fact) for fact in facts)
    leak = len({fact.split for fact in facts}) > 1
    across = " across splits (leakage)" if leak else ""
    return Finding(rule, "error" if leak else "warning", f"{what}{across}: {', '.join(names)}", names)


def questions_shared_with_training(table: Table) -> Iterator[Finding]:
    """A question of validation or test that is also asked in training, letter for letter."""
    asked: dict[str, set[str]] = defaultdict(set)
    for fact in table.readable("QAs", "train"):
        for question in fact.values["questions"]:
            asked[" ".join(question.lower().split())].add(name_of(fact))
    for split in ("validation", "test"):
        for fact in table.readable("QAs", split):
            for question in fact.values["questions"]:
                trained = sorted(asked.get(" ".join(question.lower().split()), ())) if question.strip() else []
                if trained:
                    names = (name_of(fact), *trained[:3])
                    message = f"{names[0]} asks what {trained[0]} asks: {question!r}"
                    yield Finding("shared question", "warning", message, names)


RULES: tuple[Callable[[Table], Iterator[Finding]], ...] = (
    unpaired_stems,
    unreadable_files,
    stray_files,
    sizes_that_differ,
    labels_with_many_levels,
    masks_that_contradict_answers,
    questions_that_are_empty_or_repeated,
    encodings,
    duplicate_images,
    near_duplicate_images,
    questions_shared_with_training,
)
