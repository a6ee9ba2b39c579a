"""Rules that find faults of a release in the facts of its files. A new rule is one function in `RULES`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from earthreason.data.audit.facts import Facts
from earthreason.data.audit.lookalikes import find_lookalikes, groups_of
from earthreason.data.audit.looks import read_look
from earthreason.data.layout import FOLDERS
from earthreason.data.schema import SPLITS
from earthreason.data.sources.base import ON_DISK
from earthreason.plurals import count_of

Severity = Literal["error", "warning"]
_NAMED = 12
"""Images, and relations of two, that a finding names; `samples` has all."""


@dataclass(frozen=True)
class Finding:
    """A fault of a release.

    Attributes:
        rule: name of the rule.
        severity: an error makes the audit fail, a warning does not.
        message: location and description of the fault.
        samples: "split/stem" of the affected samples.
        left_out: those of `samples` that loading leaves out.
    """

    rule: str
    severity: Severity
    message: str
    samples: tuple[str, ...]
    left_out: tuple[str, ...] = ()


class Table:
    """Facts of all files, for the rules."""

    def __init__(self, facts: list[Facts]) -> None:
        self.facts = facts
        self._by_part: dict[tuple[str, str], list[Facts]] = defaultdict(list)
        for fact in facts:
            if not fact.stray:
                self._by_part[fact.part, fact.split].append(fact)

    def of(self, part: str, split: str) -> list[Facts]:
        """Return the facts of all files of samples, readable or not."""
        return self._by_part[part, split]

    def readable(self, part: str, split: str | None = None) -> list[Facts]:
        """Return the facts of readable files, of one split or of all."""
        splits = SPLITS if split is None else (split,)
        return [fact for name in splits for fact in self.of(part, name) if fact.problem is None]

    def samples(self) -> Iterator[tuple[Facts, Facts, Facts]]:
        """Iterate over image, label and questions of every sample whose three files are readable."""
        by_key: dict[tuple[str, str], dict[str, Facts]] = defaultdict(dict)
        for part in FOLDERS:
            for fact in self.readable(part):
                by_key[fact.split, fact.stem][part] = fact
        return (
            (parts["images"], parts["labels"], parts["QAs"]) for parts in by_key.values() if len(parts) == len(FOLDERS)
        )


def name_of(fact: Facts) -> str:
    """Return the name of a file's sample in findings."""
    return f"{ON_DISK[fact.split]}/{fact.stem}"


def _on_file(rule: str, severity: Severity, fact: Facts, message: str, left_out: bool = False) -> Finding:
    names = (name_of(fact),)
    return Finding(rule, severity, f"{fact.path}: {message}", names, names if left_out else ())


def _on_sample(rule: str, severity: Severity, sample: str, message: str, left_out: bool = False) -> Finding:
    return Finding(rule, severity, f"{sample}: {message}", (sample,), (sample,) if left_out else ())


def unpaired_stems(table: Table) -> Iterator[Finding]:
    """A sample lacks its image, label or questions, or has two of one."""
    for split in SPLITS:
        stems = {part: Counter(fact.stem for fact in table.of(part, split)) for part in FOLDERS}
        for stem in sorted(set().union(*stems.values())):
            lacking = [part for part in FOLDERS if not stems[part][stem]]
            twice = [part for part in FOLDERS if stems[part][stem] > 1]
            for count, parts in (("nothing", lacking), ("several files", twice)):
                if parts:
                    message = f"{count} in {' and '.join(parts)}"
                    yield _on_sample("unpaired", "error", f"{ON_DISK[split]}/{stem}", message, left_out=True)


def repeated_ids(table: Table) -> Iterator[Finding]:
    """Two samples have one id, because a question file states that of another sample."""
    by_id: dict[str, list[str]] = defaultdict(list)
    for _, _, qa in table.samples():
        stated = qa.values["sample_id"] or f"{ON_DISK[qa.split]}-{qa.stem}"
        by_id[stated].append(name_of(qa))
    for sample_id, names in by_id.items():
        if len(names) > 1:
            message = f"sample id {sample_id!r}: {', '.join(names)}"
            yield Finding("repeated id", "error", message, tuple(names), tuple(names[1:]))


def stray_files(table: Table) -> Iterator[Finding]:
    """A file has a suffix that its folder does not expect, so the loader ignores it."""
    for fact in table.facts:
        if fact.stray:
            known = " or ".join(FOLDERS[fact.part])
            yield _on_file("stray", "warning", fact, f"left out; files of {fact.part} end with {known}")


def unreadable_files(table: Table) -> Iterator[Finding]:
    """The loader refuses a file, because it is truncated, of another format, or in the wrong folder."""
    for fact in table.facts:
        if fact.problem:
            yield _on_file("unreadable", "error", fact, fact.problem, left_out=True)


def sizes_that_differ(table: Table) -> Iterator[Finding]:
    """Image and label have different sizes."""
    for image, label, _ in table.samples():
        if label.values["size"] not in (image.values["size"], image.values["turned_size"]):
            sizes = " and ".join("x".join(map(str, fact.values["size"])) for fact in (image, label))
            message = f"image and label are {sizes} (height x width)"
            yield _on_sample("size", "error", name_of(image), message, left_out=True)


def labels_with_many_levels(table: Table) -> Iterator[Finding]:
    """A label has more than two values, or more than 8 bits; any non-zero value is read as target."""
    for fact in table.readable("labels"):
        levels, mode = fact.values["levels"], fact.values["mode"]
        if levels > 2:
            yield _on_file("levels", "warning", fact, f"{levels} values; any value but 0 is read as target")
        elif mode.startswith(("I", "F")):
            message = f"mode {mode}; a label has 8 bits. Any value but 0 is read as target"
            yield _on_file("levels", "warning", fact, message)


def masks_that_contradict_answers(table: Table) -> Iterator[Finding]:
    """An empty mask has answers, or a mask with pixels has none."""
    for _, label, qa in table.samples():
        area, answers = label.values["area"], qa.values["answers"]
        if not area and answers:
            yield _on_sample("contradiction", "error", name_of(qa), "the mask is empty but there are answers")
        if area and not answers:
            message = f"the mask has {count_of(area, 'pixel')} but there is no answer"
            yield _on_sample("contradiction", "error", name_of(qa), message)


def questions_that_are_empty_or_repeated(table: Table) -> Iterator[Finding]:
    """A question is empty, or occurs twice."""
    for fact in table.readable("QAs"):
        questions = [question.strip() for question in fact.values["questions"]]
        if not all(questions):
            yield _on_sample("questions", "error", name_of(fact), "a question is empty")
        for text, count in Counter(filter(None, questions)).items():
            if count > 1:
                yield _on_sample("questions", "warning", name_of(fact), f"asked {count} times: {text!r}")


def encodings(table: Table) -> Iterator[Finding]:
    """A file has a byte order mark, another mode than RGB, or an EXIF rotation."""
    for fact in table.readable("QAs"):
        if fact.values["bom"]:
            yield _on_file("encoding", "warning", fact, "begins with a byte order mark; it is skipped")
    for fact in table.readable("images"):
        if fact.values["mode"] != "RGB":
            yield _on_file("encoding", "warning", fact, f"mode {fact.values['mode']}; it is read as RGB")
        if fact.values["rotated"]:
            message = (
                "has an EXIF rotation, which viewers apply; the label matches the stored pixels, unless only the "
                "turned picture has its size"
            )
            yield _on_file("encoding", "warning", fact, message)


def duplicate_images(table: Table) -> Iterator[Finding]:
    """An image occurs twice; across splits this is leakage."""
    by_hash: dict[str, list[Facts]] = defaultdict(list)
    for fact in table.readable("images"):
        by_hash[fact.values["sha256"]].append(fact)
    for same in by_hash.values():
        if len(same) > 1:
            yield _alike("duplicate", "the same image", [(name_of(fact), fact.split) for fact in same])


def near_duplicate_images(table: Table) -> Iterator[Finding]:
    """Images show the same scene: copies, crops, flips, turns, overlapping tiles; across splits this is leakage."""
    yield from near_duplicates([(name_of(fact), fact.split, fact.values) for fact in table.readable("images")])


def near_duplicates(images: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Iterator[Finding]:
    """Yield one finding for every group of images of the same scene.

    Args:
        images: name of the sample, its split, and facts of its image: `size`, `sha256` and `look`.
    """
    same_bytes: dict[str, list[int]] = defaultdict(list)
    for number, (_, _, values) in enumerate(images):
        same_bytes[values["sha256"]].append(number)
    first_ones = [numbers[0] for numbers in same_bytes.values()]
    looks = [read_look(tuple(images[number][2]["size"]), images[number][2]["look"]) for number in first_ones]
    names, splits = [[images[number][part] for number in first_ones] for part in (0, 1)]
    pairs = [pair for pair in find_lookalikes(looks) if names[pair.first] != names[pair.second]]
    for group in groups_of(pairs):
        group.sort(key=lambda pair: splits[pair.first] == splits[pair.second])  # leaks are named first
        members = dict.fromkeys(number for pair in group for number in (pair.first, pair.second))
        copies = [n for member in members for n in same_bytes[images[first_ones[member]][2]["sha256"]]]
        everyone = list(dict.fromkeys((images[n][0], images[n][1]) for n in copies))
        said = [f"{names[pair.second]} from {names[pair.first]}: {pair.how}" for pair in group if pair.how]
        if len(everyone) == 2:
            said = [pair.how for pair in group if pair.how]
        yield _alike("near-duplicate", "images that show the same scene", everyone, said)


def _alike(rule: str, what: str, images: Sequence[tuple[str, str]], said: Sequence[str] = ()) -> Finding:
    names = tuple(name for name, _ in images)
    leak = len({split for _, split in images}) > 1
    across = " across splits (leakage)" if leak else ""
    more = f" ({'; '.join(_first(said))})" if said else ""
    return Finding(rule, "error" if leak else "warning", f"{what}{across}: {', '.join(_first(names))}{more}", names)


def _first(texts: Sequence[str]) -> list[str]:
    """Shorten a long list."""
    return [*texts[:_NAMED], f"{len(texts) - _NAMED} more"] if len(texts) > _NAMED + 1 else list(texts)


def questions_shared_with_training(table: Table) -> Iterator[Finding]:
    """A question of validation or test also occurs in training, up to case and spaces."""
    asked: dict[str, set[str]] = defaultdict(set)
    for fact in table.readable("QAs", "train"):
        for question in fact.values["questions"]:
            asked[" ".join(question.lower().split())].add(name_of(fact))
    asked.pop("", None)  # empty questions are findings of another rule
    for fact in (*table.readable("QAs", "validation"), *table.readable("QAs", "test")):
        for question in fact.values["questions"]:
            trained = sorted(asked.get(" ".join(question.lower().split()), ()))
            if trained:
                message = f"{name_of(fact)} has the same question as {trained[0]}: {question!r}"
                yield Finding("shared question", "warning", message, (name_of(fact), *trained[:3]))


RULES: tuple[Callable[[Table], Iterator[Finding]], ...] = (
    unpaired_stems,
    repeated_ids,
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
