"""Flag words of the segmentation task, such as mask and pixel, which people do not use about a place."""

from __future__ import annotations

import re

from earthreason.questions.checks.base import Check, each_text, phrase

_COLOUR = r"(?:red|green|blue|yellow|orange|pink|purple|magenta|cyan|white|black)"
_DRAWN = r"(?:marked|outlined|shaded|coloured|colored|tinted|highlighted|circled|boxed|shown|drawn|delimited|encircled)"
_REGION = r"(?:area|areas|region|regions|zone|zones|object|objects|part|parts|shape|shapes|section|sections)"
_WORDS = re.compile(
    r"\b(?:masks?|masked|masking|pixels?|pixelated|segment(?:s|ed|ing|ation)?|bounding[\s-]?box(?:es)?|polygons?"
    r"|annotat\w+|ground[\s-]truth|(?:class|category) (?:label|name|id)s?|labell?(?:ed|ing|s)?|overlay(?:s|ed)?"
    rf"|overlaid|highlighted|tinted|tints?|delineat\w+|heat[\s-]?maps?|{_DRAWN} {_REGION}|{_DRAWN} in {_COLOUR}"
    rf"|{_REGION} {_DRAWN}(?: (?:in|by|with))?|{_COLOUR} (?:box|boxes|overlay|outline|contour|tint|shading))\b"
)
_OBJECTION = phrase("mentions the task", _WORDS)

CHECK = Check(
    "task words",
    "A question or answer does not mention masks, pixels, segmentation, annotation or tinted regions.",
    bad=("Segment the area where ships unload.",),
    good=("Where could ships unload?",),
    run=each_text("task words", _OBJECTION, _OBJECTION),
)
