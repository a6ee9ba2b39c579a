"""Flag words of the segmentation task, such as mask and pixel, which people do not use to describe a place."""

from __future__ import annotations

import re

from earthreason.questions.checks.base import Check, each_question, phrase

_WORDS = re.compile(
    r"\b(?:masks?|masked|pixels?|pixelated|segment(?:s|ed|ing|ation)?|bounding[\s-]?box(?:es)?|polygons?|annotat\w+"
    r"|ground[\s-]truth|labell?(?:ed|ing|s)?|overlay(?:s|ed)?|highlighted|tinted|shaded region|coloured region"
    r"|colored region|delineat\w+)\b"
)

CHECK = Check(
    "task words",
    "A question does not mention masks, pixels, segmentation, annotation or tinted regions.",
    bad=("Segment the area where ships unload.",),
    good=("Where could ships unload?",),
    run=each_question("task words", phrase("mentions the task", _WORDS)),
)
