"""Audit a release folder: everything that is wrong with it, not only the first thing.

Each file is looked at once, in parallel, and what was seen is kept in a journal, so an interrupted audit goes on and a
second one only looks at what changed. The rules then read these facts; a new rule is one function in `RULES`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from earthreason.data.release import FOLDERS, ON_DISK, find_release, split_folder
from earthreason.data.schema import SPLITS
from earthreason.files import end_last_line

Severity = Literal["error", "warning"]
PUBLISHED = {"train": 2371, "validation": 1135, "test": 1928}
PUBLISHED_EMPTY = 200
"""Samples of the official release (arXiv 2504.09644), and how many of all have an empty target."""
NEAR = 12
"""Perceptual hashes of 256 bits that differ in at most so many look the same; unrelated ones differ in about 128."""
_HASH_SIDE = 16
_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Facts:
    """What was seen of one file. `problem` says why it could not be read."""

    split: str
    part: str
    stem: str
    path: str
    problem: str | None = None
    values: dict[str, Any] = field(default_factory=dict)


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


@dataclass(frozen=True)
class Audit:
    """The outcome.

    Attributes:
        root: the release.
        counts: samples that have an image, by split.
        empty: samples whose mask is all zero, by split.
        findings: errors first.
        files: how many files were looked at.
    """

    root: Path
    counts: dict[str, int]
    empty: dict[str, int]
    findings: list[Finding]
    files: int

    @property
    def errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The audit as JSON values."""
        return {
            "release": str(self.root),
            "files": self.files,
            "samples": self.counts,
            "empty_targets": self.empty,
            "published_samples": PUBLISHED,
            "published_empty_targets": PUBLISHED_EMPTY,
            "errors": self.errors,
            "warnings": len(self.findings) - self.errors,
            "findings": [asdict(finding) for finding in self.findings],
        }


def audit(
    root: Path, workers: int = 1, journal: Path | None = None, progress: Callable[[int], object] = lambda _: None
) -> Audit:
    """Look at every file of a release and apply every rule.

    Args:
        root: folder that holds the release, however deep.
        workers: processes.
        journal: JSONL file of what was seen; files that did not change since are not looked at again.
        progress: called with the number of files done; first with 0.

    Raises:
        DataNotFoundError: there is no release.
    """
    release = find_release(root)
    listed = list(_files(release))
    known = _read_journal(journal)
    jobs = [job for job in listed if _key(job) not in known]
    progress(len(listed) - len(jobs))
    seen = dict(known)
    for facts, key in _look_at_all(jobs, workers, journal):
        seen[key] = facts
        progress(1)
    table = Table([seen[_key(job)] for job in listed])
    findings = [finding for rule in RULES for finding in rule(table)]
    findings.sort(key=lambda finding: finding.severity != "error")
    empty = {split: sum(label.values["area"] == 0 for label in table.readable("labels", split)) for split in SPLITS}
    counts = {split: len(table.of("images", split)) for split in SPLITS}
    return Audit(release, counts, empty, findings, len(listed))


Job = tuple[str, str, Path]


def _files(release: Path) -> Iterator[Job]:
    for split in ON_DISK:
        folder = split_folder(release, split)
        if folder is not None:
            for part in FOLDERS:
                for path in sorted((folder / part).iterdir()):
                    if path.is_file() and not path.name.startswith("."):
                        yield split, part, path


def _key(job: Job) -> str:
    split, part, path = job
    status = path.stat()
    return f"{split}/{part}/{path.name}:{status.st_size}:{status.st_mtime_ns}"


def _read_journal(path: Path | None) -> dict[str, Facts]:
    if path is None or not path.is_file():
        return {}
    known = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            known[entry["key"]] = Facts(**entry["facts"])
        except (ValueError, KeyError, TypeError):
            continue  # the line was cut off when the audit was interrupted; that file is looked at again
    return known


def _look_at_all(jobs: list[Job], workers: int, journal: Path | None) -> Iterator[tuple[Facts, str]]:
    if journal is not None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        end_last_line(journal)
    sink = journal.open("a", encoding="utf-8") if journal is not None else None
    try:
        with ProcessPoolExecutor(max(1, workers)) as pool:
            found: Iterable[Facts] = map(look_at, jobs) if workers <= 1 else pool.map(look_at, jobs, chunksize=8)
            for facts, job in zip(found, jobs, strict=True):
                key = _key(job)
                if sink is not None:
                    sink.write(json.dumps({"key": key, "facts": asdict(facts)}, ensure_ascii=False) + "\n")
                    sink.flush()
                yield facts, key
    finally:
        if sink is not None:
            sink.close()


def look_at(job: Job) -> Facts:
    """Read one file whole."""
    split, part, path = job
    readers = {"images": _look_at_image, "labels": _look_at_label, "QAs": _look_at_questions}
    wanted = path.suffix.lower() in FOLDERS[part]
    try:
        values = readers[part](path.read_bytes()) if wanted else {}
        problem = None if wanted else f"a {path.suffix or 'nameless'} file, expected {' or '.join(FOLDERS[part])}"
    except Unreadable as error:
        values, problem = {}, str(error)
    except Exception as error:  # decoders raise many kinds on broken files
        values, problem = {}, f"{type(error).__name__}: {error}"
    return Facts(split, part, path.stem, str(path), problem, values)


class Unreadable(Exception):
    """Why a file cannot be read, in words."""


def _look_at_image(content: bytes) -> dict[str, Any]:
    import imagehash

    from earthreason.data.pictures import open_picture

    image = open_picture(content)
    small = image.convert("RGB")
    small.thumbnail((512, 512))
    hashed = imagehash.phash(small, hash_size=_HASH_SIDE)
    return {
        "size": [image.height, image.width],
        "mode": image.mode,
        "rotated": image.getexif().get(_EXIF_ORIENTATION, 1) != 1,
        "sha256": hashlib.sha256(content).hexdigest(),
        "phash": str(hashed),
        "flat": bool(np.asarray(small.convert("L")).std() < 2),
    }


def _look_at_label(content: bytes) -> dict[str, Any]:
    from earthreason.data.pictures import open_picture

    image = open_picture(content)
    if image.mode in ("RGB", "RGBA", "CMYK", "LA"):
        raise Unreadable(f"mode {image.mode}; a label has one channel")
    pixels = np.asarray(image)
    return {
        "size": [image.height, image.width],
        "mode": image.mode,
        "area": int(np.count_nonzero(pixels)),
        "levels": len(np.unique(pixels)),
    }


def _look_at_questions(content: bytes) -> dict[str, Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {content[error.start]:#04x} is not UTF-8 (Latin-1?)") from None
    try:
        qa = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from None
    if not isinstance(qa, dict):
        raise Unreadable("not a JSON object")
    for key in ("questions", "answer"):
        value = qa.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise Unreadable(f"{key} is not a list of texts")
    return {
        "questions": qa.get("questions", []),
        "answers": qa.get("answer", []),
        "bom": content.startswith(b"\xef\xbb\xbf"),
    }


class Table:
    """All facts, for the rules."""

    def __init__(self, facts: list[Facts]) -> None:
        self.facts = facts
        self._by_part: dict[tuple[str, str], list[Facts]] = defaultdict(list)
        for fact in facts:
            self._by_part[fact.part, fact.split].append(fact)

    def of(self, part: str, split: str) -> list[Facts]:
        """Facts of the wanted kind of file, readable or not."""
        return [f for f in self._by_part[part, split] if Path(f.path).suffix.lower() in FOLDERS[part]]

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


def unreadable_files(table: Table) -> Iterator[Finding]:
    """A file is cut off, of another format, or not what its folder says."""
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


def questions_that_are_missing_or_repeated(table: Table) -> Iterator[Finding]:
    """No questions, an empty one, or the same twice."""
    for fact in table.readable("QAs"):
        questions = [question.strip() for question in fact.values["questions"]]
        sample = name_of(fact)
        if not any(questions):
            yield Finding("questions", "error", f"{sample}: has no questions", (sample,))
        elif not all(questions):
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
    sizes_that_differ,
    labels_with_many_levels,
    masks_that_contradict_answers,
    questions_that_are_missing_or_repeated,
    encodings,
    duplicate_images,
    near_duplicate_images,
    questions_shared_with_training,
)
