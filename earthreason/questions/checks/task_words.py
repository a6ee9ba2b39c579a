"""Flag words of the segmentation task, such as mask and pixel, which people do not use about a place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from earthreason.questions.checks.base import PICTURES, Check, each_text
from earthreason.questions.language import parse, word_set

if TYPE_CHECKING:
    from spacy.tokens import Token

_COLOUR = r"(?:red|green|blue|yellow|orange|pink|purple|magenta|cyan|white|black)"
_DRAWN = r"(?:marked|outlined|shaded|coloured|colored|tinted|highlighted|circled|boxed|shown|drawn|delimited|encircled)"
_REGION = r"(?:area|areas|region|regions|zone|zones|object|objects|part|parts|shape|shapes|section|sections)"
_WORDS = re.compile(
    r"\b(?:masks?|masked|masking|pixels?|pixelated|segment(?:s|ed|ing|ation)?|bounding[\s-]?box(?:es)?|polygons?"
    r"|annotat\w+|ground[\s-]truth|(?:class|category) (?:label|name|id)s?|labell?(?:ed|ing|s)?|overlay(?:s|ed)?"
    rf"|overlaid|highlighted|tinted|tints?|delineat\w+|heat[\s-]?maps?|{_DRAWN} {_REGION}|{_DRAWN} in {_COLOUR}"
    rf"|{_REGION} {_DRAWN}(?: (?:in|by|with))?|{_COLOUR} (?:box|boxes|overlay|outline|contour|tint|shading))\b"
)
_MARKUP = re.compile(r"\[seg\]|</?\w+>")
"""Tokens of models that segment."""
_TASK = word_set(
    """
    annotation area binary class color colour ground instance map object output pixel prediction region scene segment
    segmentation target truth zone
    """
).union(PICTURES)
"""What masks, segments and labels of the task belong to."""
_WORN = frozenset(("don", "put", "remove", "wear"))
_GLASS = frozenset(("glass", "lens", "pane", "roof", "screen", "window", "windscreen", "windshield"))


def _objection(text: str) -> str | None:
    text = text.lower().replace("’", "'")
    if markup := _MARKUP.search(text):
        return f"mentions the task: {markup[0]!r}"
    for match in _WORDS.finditer(text):
        token = next(token for token in parse(text) if token.idx + len(token) > match.start())
        if not _is_ordinary(token, match[0]):
            return f"mentions the task: {match[0]!r}"
    return None


def _is_ordinary(token: Token, match: str) -> bool:
    """Tell whether a word has its everyday sense: oxygen masks, leaves that mask a noise, a segment of the race."""
    if match.startswith("tint"):
        return any(word.lemma_.lower() in _GLASS for word in token.doc)
    if match.startswith("delineat"):
        return token.i + 1 < len(token.doc) and token.nbor().lower_ in ("by", "with")
    if match.startswith("shaded "):  # a shaded area, but: the shaded area
        return token.i > 0 and token.nbor(-1).lower_ in ("a", "any", "some", "no")
    if match == "segmentation" or not match.startswith(("label", "mask", "segment")):
        return False
    if token.pos_ == "VERB":
        return match.startswith("mask") and any(
            child.dep_ == "nsubj" and child.pos_ in ("NOUN", "PROPN") for child in token.children
        )
    if token.head.lemma_ in _WORN:
        return True
    owners = [child for child in token.children if child.dep_ in ("compound", "poss", "amod")]
    if match.startswith("segment"):
        owners += [noun for child in token.children if child.lower_ == "of" for noun in child.children]
    owners = [owner for owner in owners if owner.pos_ in ("NOUN", "PROPN") and not re.fullmatch(_COLOUR, owner.lower_)]
    return bool(owners) and not any(owner.lemma_.lower() in _TASK for owner in owners)


CHECK = Check(
    "task words",
    "A question or answer does not mention masks, pixels, segmentation, annotation or tinted regions.",
    bad=("Segment the area where ships unload.",),
    good=("Where could ships unload?",),
    run=each_text("task words", _objection, _objection),
)
