"""Languages in which questions and answers can be asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from earthreason.errors import EarthReasonError, UnknownNameError


@dataclass(frozen=True)
class Language:
    """A language: its English name, and its ISO 639-1 code, by which texts are identified."""

    name: str
    code: str


ENGLISH = Language("English", "en")
_KNOWN = {
    "Arabic": "ar",
    "Bengali": "bn",
    "Bulgarian": "bg",
    "Catalan": "ca",
    "Chinese": "zh",
    "Croatian": "hr",
    "Czech": "cs",
    "Danish": "da",
    "Dutch": "nl",
    "English": "en",
    "Estonian": "et",
    "Finnish": "fi",
    "French": "fr",
    "German": "de",
    "Greek": "el",
    "Hebrew": "he",
    "Hindi": "hi",
    "Hungarian": "hu",
    "Indonesian": "id",
    "Italian": "it",
    "Japanese": "ja",
    "Korean": "ko",
    "Latvian": "lv",
    "Lithuanian": "lt",
    "Norwegian": "no",
    "Persian": "fa",
    "Polish": "pl",
    "Portuguese": "pt",
    "Romanian": "ro",
    "Russian": "ru",
    "Serbian": "sr",
    "Slovak": "sk",
    "Slovenian": "sl",
    "Spanish": "es",
    "Swahili": "sw",
    "Swedish": "sv",
    "Tamil": "ta",
    "Thai": "th",
    "Turkish": "tr",
    "Ukrainian": "uk",
    "Urdu": "ur",
    "Vietnamese": "vi",
}
_NAMED = re.compile(r"(\w[\w ()-]{1,39})/([a-z]{2,3})")


def parse_language(text: str) -> Language:
    """Read a language: a known name or code, or any language as NAME/CODE.

    Raises:
        UnknownNameError: the name or code is not known.
        EarthReasonError: the text has a slash, but not this form.
    """
    given = text.strip()
    if "/" in given:
        match = _NAMED.fullmatch(given)
        if match is None:
            raise EarthReasonError(f"--language {text}: write NAME/CODE, such as Icelandic/is (ISO 639-1)")
        return Language(match[1], match[2])
    for name, code in _KNOWN.items():
        if given.lower() in (name.lower(), code):
            return Language(name, code)
    raise UnknownNameError("language", text, _KNOWN, "Any other is given as NAME/CODE, such as Icelandic/is")
