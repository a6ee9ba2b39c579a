"""Flag questions that say where in the image the target is."""

from __future__ import annotations

import re

from earthreason.questions.checks.base import Check, each_question, phrase

_VERTICAL, _HORIZONTAL = r"(?:top|bottom|upper|lower)", r"(?:left|right|left-hand|right-hand)"
_PART = r"(?:corner|half|part|portion|quadrant|section|side|edge|third|area|centre|center)"
_OF_THE_LAND = (
    r"(?:of the (?:hill|slope|mountain|valley)|slope|floor|deck|town|reach|course|end of the (?:hill|valley))"
)
_PICTURE = r"(?:image|picture|photo|photograph|frame|scene|view)"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b{_VERTICAL}[\s-]{_HORIZONTAL}\b",
        rf"\b(?:{_VERTICAL}|{_HORIZONTAL})[\s-]{_PART}\b",
        rf"\b(?:centre|center|middle|{_VERTICAL}|{_HORIZONTAL}|edge|corner|border) (?:of|in) (?:the|this) {_PICTURE}\b",
        rf"\b(?:on|to|at|in) the (?:far |very |extreme )?{_HORIZONTAL}\b(?! (?:bank|lane|turn))",
        rf"(?<!north )\b(?:at|near|along|towards?|in) the (?:far |very )?{_VERTICAL}\b(?! {_OF_THE_LAND})",
        r"\b(?:coordinates?|x ?= ?\d+|y ?= ?\d+)\b",
        r"\(\s*\d+\s*,\s*\d+\s*\)",
    )
)

CHECK = Check(
    "gives location",
    "A question does not say where in the image the target is; relations between objects are allowed.",
    bad=("What is kept cool in the top left corner?",),
    good=("Which of the places used for this lies nearest to the water?",),
    run=each_question("gives location", phrase("says where in the image to look", *_PATTERNS)),
)
