"""A question that names what it asks for is not implicit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet

SYNONYMS: dict[str, tuple[str, ...]] = {
    "airport apron": ("apron", "tarmac", "airport", "airplane parking", "aircraft stand"),
    "airport runway": ("runway", "airstrip", "landing strip", "airport", "taxiway"),
    "airport": ("aerodrome", "airfield", "runway", "airstrip"),
    "baseball field": ("baseball", "ball field", "ballpark", "baseball diamond", "softball field"),
    "basketball court": ("basketball", "basketball field"),
    "beach": ("seashore", "sandy shore", "seaside", "shoreline", "strand"),
    "bridge": ("overpass", "viaduct", "flyover", "footbridge"),
    "dam": ("barrage", "weir", "reservoir wall"),
    "golf course": ("golf", "golf links", "putting green", "fairway"),
    "greenhouse": ("hothouse", "glasshouse", "polytunnel", "conservatory"),
    "ground track field": (
        "running track",
        "athletics track",
        "track field",
        "racetrack",
        "sports track",
        "track and field",
    ),
    "helipad": ("heliport", "helicopter pad", "helideck", "helicopter landing"),
    "island": ("islet", "isle", "atoll"),
    "lake": ("pond", "lagoon", "reservoir"),
    "parking lot": ("car park", "parking area", "parking space", "parking garage", "parking"),
    "pier": ("jetty", "wharf", "dock", "quay", "boat landing"),
    "quarry": ("open pit", "open-pit mine", "gravel pit", "mine", "stone pit"),
    "river": ("stream", "creek", "waterway", "brook"),
    "roundabout": ("traffic circle", "rotary", "traffic island"),
    "solar plant": ("solar", "photovoltaic", "pv plant", "solar farm", "solar panel"),
    "stadium": ("arena", "sports ground", "football ground", "bowl stadium"),
    "storage tank": ("oil tank", "fuel tank", "tank", "silo", "tank farm"),
    "substation": ("transformer station", "switchyard", "power substation", "electrical station"),
    "swimming pool": ("pool", "lido", "swimming bath"),
    "tennis court": ("tennis",),
    "train station": ("railway station", "rail station", "train stop", "railway platform", "station"),
    "wastewater plant": ("sewage plant", "sewage works", "water treatment plant", "treatment plant", "wastewater"),
    "wind turbine": ("windmill", "wind farm", "turbine", "wind power", "wind generator"),
    "woodland": ("forest", "wood", "woods", "grove"),
}
"""Other names of categories of overhead images, beside their own."""
_GENERIC = {
    "field",
    "plant",
    "lot",
    "course",
    "ground",
    "station",
    "court",
    "area",
    "place",
    "site",
    "land",
    "building",
}
"""Words of category names that mean nothing alone."""


@lru_cache(maxsize=1024)
def pattern_of(category: str) -> re.Pattern[str]:
    """What names a category: it and its synonyms, singular and plural, with space, hyphen or nothing between words."""
    name = category.lower().replace("_", " ").replace("-", " ").strip()
    names = [name, *SYNONYMS.get(name, ())]
    words = name.split()
    if len(words) > 1:
        names += [word for word in words if word not in _GENERIC and len(word) > 3 and name not in SYNONYMS]
    forms = {_inflected(other.replace("-", " ")) for other in names if other}
    return re.compile(rf"(?<![a-z])(?:{'|'.join(sorted(forms, key=len, reverse=True))})(?![a-z])")


def _inflected(name: str) -> str:
    *first, last = name.split()
    if last.endswith(("s", "x", "ch", "sh")):
        plural = f"{re.escape(last)}(?:es)?"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        plural = f"{re.escape(last[:-1])}(?:y|ies)"
    else:
        plural = f"{re.escape(last)}s?"
    return r"[\s-]?".join([*map(re.escape, first), plural])


def _run(asked: QuestionSet) -> Iterator[CheckFinding]:
    if not asked.category:
        return
    pattern = pattern_of(asked.category)
    for question in asked.questions:
        match = pattern.search(question.lower())
        if match:
            yield CheckFinding(CHECK.name, asked.sample_id, question, f"names the {asked.category}: {match[0]!r}")


CHECK = Check(
    "names category",
    "A question never names the category, a synonym or an inflection of it.",
    bad=("Where is the runway on which planes land?",),
    good=("Where could an aircraft put down in an emergency?",),
    run=_run,
)
