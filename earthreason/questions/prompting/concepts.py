"""Concepts that questions about something absent may be about, and the order in which a sample tries them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from earthreason.data.reader import read_all
from earthreason.data.sources import Source
from earthreason.errors import DataFormatError, DataNotFoundError
from earthreason.files import read_text
from earthreason.questions.types import LONGEST_NAME, same_name
from earthreason.synthetic.categories import CATEGORIES

OFFICIAL = CATEGORIES
"""The 28 categories of the official set, which the synthetic scenes have too."""
SHORTLIST = 8
"""Concepts that a sample is offered."""
SEPARATOR = ";"
"""Mark between concepts in a prompt."""
_FEWEST = 2


def read_concepts(path: Path) -> tuple[str, ...]:
    """Read a file with one concept per line; blank lines and lines that begin with # are left out.

    Raises:
        DataNotFoundError: the file does not exist.
        DataFormatError: it is not text, a line is too long for a name, or it has fewer than two concepts.
    """
    if not path.is_file():
        raise DataNotFoundError(f"there is no file of concepts {path}")
    concepts = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name = " ".join(line.split())
        if not name or name.startswith("#"):
            continue
        if len(name) > LONGEST_NAME or not same_name(name) or SEPARATOR in name:
            raise DataFormatError(
                f"{path} line {number}: {name[:40]!r} is no name of at most {LONGEST_NAME} characters without "
                f"{SEPARATOR!r}; write one concept per line"
            )
        concepts.append(name)
    found = _distinct(concepts)
    if len(found) < _FEWEST:
        raise DataFormatError(f"{path}: {len(found)} concepts; at least {_FEWEST} are needed, one per line")
    return found


def pool_of(source: Source, progress: Callable[[int], object] = lambda _: None) -> tuple[str, ...]:
    """Return the official categories and those of a set, which is read through for them."""
    found = set()
    for _, record in read_all(source):
        if record.category and len(record.category) <= LONGEST_NAME and same_name(record.category):
            found.add(" ".join(record.category.replace("_", " ").replace(SEPARATOR, ",").split()))
        progress(1)
    return _distinct([*OFFICIAL, *sorted(found)])


def shortlist(concepts: Sequence[str], seed: int, sample: tuple[str, str], category: str | None) -> tuple[str, ...]:
    """Choose the concepts that a sample is offered, without its own category and related ones.

    Every order of the concepts is equally likely, so that over a run each comes first, second, ... equally often.

    Args:
        concepts: concepts to choose from.
        seed: seed of the run.
        sample: split and id.
        category: class of the sample's target, which is not offered.
    """

    def rank(concept: str) -> bytes:
        return hashlib.sha256("\0".join((str(seed), *sample, same_name(concept))).encode()).digest()

    ordered = sorted(concepts, key=rank)
    chosen: list[str] = []
    for concept in ordered:
        if len(chosen) == SHORTLIST:
            break
        if category is None or not _related(concept, category):
            chosen.append(concept)
    return tuple(chosen)


def _related(concept: str, category: str) -> bool:
    """Tell whether one of two names names the other, a kind of it or a part of it."""
    from earthreason.questions.language import parse
    from earthreason.questions.names import names_of

    if same_name(concept) == same_name(category):
        return True
    pairs = ((concept, category), (category, concept))
    return any(names_of(named).find(parse(f"There is a {text}.")) for named, text in pairs)


def _distinct(concepts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for concept in concepts:
        found.setdefault(same_name(concept), concept)
    return tuple(found.values())
