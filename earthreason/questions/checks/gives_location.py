"""Flag questions that say where in the image the target is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from earthreason.questions.checks.base import PICTURES, Check, each_question
from earthreason.questions.language import parse

if TYPE_CHECKING:
    from spacy.tokens import Doc

_COMPASS = r"(?:(?:north|south)(?:[\s-]?(?:east|west))?|east|west)(?:ern)?"
_VERTICAL, _HORIZONTAL = r"(?:top|bottom|upper|lower)", r"(?:left|right)(?:[\s-]hand)?"
_CENTRE = r"(?:cent(?:re|er|ral)|middle)"
_SIDE = rf"(?:{_VERTICAL}(?:[\s-]{_HORIZONTAL})?|{_HORIZONTAL}|{_CENTRE}|{_COMPASS})"
_PART = (
    r"(?:corner|half|part|portion|quadrant|quarter|section|sector|side|edge|third|border|margin|boundary|region|area|end"
    r"|cent(?:re|er))"
)
_LOOSE = "(?:part|portion|section|sector|area|region|end)"
_COUNTED = r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|next|\d+(?:st|nd|rd|th))"
_NEAR = r"(?:on|to|at|in|towards?|near|along|by|from|of|below|above|beneath|around|beside)"
_PLACED = r"(?:on|to|at|in|towards?|near|along)"
_VERY = r"(?:(?:far|very|extreme|exact|dead|immediate|absolute)\s)*"
_PICTURES = frozenset((*PICTURES, "frame", "scene", "view", "map", "tile", "screen", "canvas"))
_ALWAYS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:{_VERTICAL}|{_CENTRE})[\s-]{_HORIZONTAL}\b(?! now)",
        r"\b(?:left|right|top|bottom|upper|lower)[\s-]?most\b",
        rf"\b{_COUNTED}(?:\s\w+){{0,3}}\s(?:from|on) the {_VERY}(?:left|right|top|bottom|{_COMPASS})\b",
        r"\b(?:counted|counting|reading|going) from the \w+\b|\bfrom (?:left to right|right to left|top to bottom)\b",
        rf"\b{_NEAR} the {_VERY}(?:{_VERTICAL}|{_HORIZONTAL}) (?:edge|corner|border|margin|quadrant)\b(?! of\b)",
        r"\b(?:(?:at|image|pixel|the|these|with) coordinates?|x ?= ?\d+|y ?= ?\d+)\b",
        r"\(\s*\d+\s*,\s*\d+\s*\)",
    )
)
# What follows decides: the left side of the road, the top of the hill and the right bank are relations between objects.
_BY_SEQUEL = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?!right\s{_LOOSE}){_SIDE}[\s-]{_PART}s?\b",
        rf"\b{_PLACED} the {_VERY}right {_LOOSE}\b",  # but: find the right part
        rf"\b{_PLACED} the {_VERY}(?:{_HORIZONTAL}|top|bottom)\b|\b(?:in|at) the {_VERY}{_COMPASS}\b",
        rf"(?:^|,\s?|\b(?:right|just|exactly|directly|close|somewhere)\s){_NEAR}(?:\sto)? the {_VERY}{_CENTRE}\b",
        rf"\b{_NEAR} the {_VERY}{_CENTRE} of (?:the|this)\b",
        r"\b(?:edge|corner|border|margin)s? of (?:the|this)\b",
    )
)
_LYING = frozenset(("appear", "find", "lie", "locate", "position", "see", "sit", "situate", "stand", "visible"))
_ORIENTATION = re.compile(
    rf"\b(?:the )?{_SIDE} (?:edge|side)(?: of the \w+)? (?:faces|is|points)(?: to)?(?: the)? (?:north|south)"
    r"|\bnorth (?:is )?(?:at|to|towards) the top\b"
)
"""How the map lies, and not where the target is."""
_PICTURE_PART = re.compile(
    rf"\b(?:{'|'.join(sorted(_PICTURES))})'s\s(?:\w+[\s-]){{0,2}}(?:{_PART}|left|right|top|bottom)\b"
)


def _objection(question: str) -> str | None:
    text = _ORIENTATION.sub("", question.lower().replace("’", "'"))
    match = next((hit for pattern in (*_ALWAYS, _PICTURE_PART) if (hit := pattern.search(text))), None)
    match = match or next(_of_the_picture(text), None)
    return f"says where in the image to look: {match[0].strip(' ,')!r}" if match else None


def _of_the_picture(text: str) -> Iterator[re.Match[str]]:
    """Yield parts of the picture, and none of an object."""
    for pattern in _BY_SEQUEL:
        for match in pattern.finditer(text):
            doc = parse(text)
            after = [token for token in doc if token.idx >= match.end()]
            if match[0].endswith((" the", " this")):  # the edge of the ..., whose object is yet to come
                owner = after[:1]
            elif after and after[0].lower_ == "of":
                owner = [token for token in after[1:5] if token.pos_ in ("NOUN", "PROPN")][:1]
                owner = owner or after[:1]
            else:
                owner = []
            if owner:
                if any(token.lemma_.lower() in _PICTURES for token in [*owner, *owner[0].subtree][:4]):
                    yield match
            elif after and after[0].pos_ in ("NOUN", "PROPN"):
                continue
            elif not (match[0].endswith((" top", " bottom")) and _says_how(doc, match)):
                yield match


def _says_how(doc: Doc, match: re.Match[str]) -> bool:
    """Tell whether a place belongs to what happens and not to where a thing is: headlights glide along the top."""
    place = next(token for token in doc if token.idx + len(token) > match.start())
    verb = place.head
    return verb.pos_ == "VERB" and verb.lemma_ not in _LYING


CHECK = Check(
    "gives location",
    "A question does not say where in the image the target is; relations between objects are allowed.",
    bad=("What is kept cool in the top left corner?", "Which ship, the third from the right, is leaving?"),
    good=(
        "Which of the places used for this lies nearest to the water?",
        "What stands on the right bank of the river?",
    ),
    run=each_question("gives location", _objection),
)
