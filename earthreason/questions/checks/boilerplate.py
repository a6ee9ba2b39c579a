"""Flag stock phrases of language models."""

from __future__ import annotations

import re

from earthreason.questions.checks.base import Check, each_question, phrase

_PHRASES = re.compile(
    r"\b(?:(?:in|from|within|based on|according to|on|of) (?:the|this|that|an?) (?:given |provided |above |satellite "
    r"|aerial |overhead |remote sensing |input )*(?:image|picture|photo|photograph|imagery|snapshot)"
    r"|as an ai|as a language model|i cannot|i'm sorry|sure,? here|here (?:is|are) (?:a|the|some)|question \d+|q\d+[:.]"
    r"|certainly!?|note that)\b"
)

CHECK = Check(
    "boilerplate",
    "A question has no stock phrases such as 'in this image' or 'here is a question'.",
    bad=("In this image, where could ships unload?",),
    good=("Where could ships unload?",),
    run=each_question("boilerplate", phrase("boilerplate", _PHRASES)),
)
