"""Registry of checks. Each module has one check with its rule and examples.

Importing this package imports every module beside this file, so to add a check, add a module with a `CHECK`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module

from earthreason.questions.checks.base import LONGEST_READ, Check, CheckFinding, QuestionSet, SetCheck
from earthreason.questions.language import read_ahead

_ALL: tuple[Check | SetCheck, ...] = tuple(
    import_module(module.name).CHECK
    for module in pkgutil.iter_modules(__path__, f"{__name__}.")
    if not module.name.endswith(".base")
)
if len({check.name for check in _ALL}) < len(_ALL):
    raise ValueError(f"two question checks share a name: {sorted(check.name for check in _ALL)}")
CHECKS: Mapping[str, Check] = {check.name: check for check in _ALL if isinstance(check, Check)}
SET_CHECKS: Mapping[str, SetCheck] = {check.name: check for check in _ALL if isinstance(check, SetCheck)}

__all__ = [
    "CHECKS",
    "SET_CHECKS",
    "Check",
    "CheckFinding",
    "QuestionSet",
    "SetCheck",
    "check_all",
    "check_many",
    "not_applied",
    "passing",
]


def check_all(asked: QuestionSet, checks: Iterable[Check] | None = None) -> list[CheckFinding]:
    """Return the findings on the texts of one image of those checks that understand its language."""
    applied = CHECKS.values() if checks is None else checks
    questions, answers = (tuple(filter(_is_readable, texts)) for texts in (asked.questions, asked.answers))
    readable = replace(asked, questions=questions, answers=answers)
    return [
        finding
        for check in applied
        if _understands(check, asked.language)
        for finding in check.run(asked if check.any_length else readable)
    ]


def check_many(sets: Sequence[QuestionSet]) -> list[CheckFinding]:
    """Return the findings on the texts of several images; quicker than one image after another."""
    english = (text for asked in sets if asked.language == "en" for text in (*asked.questions, *asked.answers))
    read_ahead(filter(_is_readable, english))
    return [finding for asked in sets for finding in check_all(asked)]


def passing(asked: QuestionSet) -> tuple[list[str], list[str]]:
    """Return the questions and the answers without a finding, in order."""
    bad = {finding.text for finding in check_many([asked])}
    questions, answers = ([text for text in texts if text not in bad] for texts in (asked.questions, asked.answers))
    return questions, answers


def not_applied(language: str) -> list[str]:
    """Name the checks that are not applied to texts of a language (ISO 639-1), because they understand English only."""
    return [name for name, check in CHECKS.items() if not _understands(check, language)]


def _is_readable(text: str) -> bool:
    return len(text) <= LONGEST_READ


def _understands(check: Check, language: str) -> bool:
    return check.any_language or language == "en"
