"""What a good question is: a registry of checks, one file each, with its rule and its examples.

A new check is one module with a `CHECK` and its name in `_MODULES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

from earthreason.questions.checks.base import Check, CheckFinding, QuestionSet, SetCheck

_MODULES = (
    "names_category",
    "task_words",
    "gives_location",
    "length",
    "not_a_question",
    "several_questions",
    "language",
    "boilerplate",
    "near_duplicate",
    "emptiness",
    "answer_target",
)
_SET_MODULES = ("repeated_across_set", "same_opening")

CHECKS: Mapping[str, Check] = {
    check.name: check for check in (import_module(f"earthreason.questions.checks.{name}").CHECK for name in _MODULES)
}
SET_CHECKS: Mapping[str, SetCheck] = {
    check.name: check
    for check in (import_module(f"earthreason.questions.checks.{name}").CHECK for name in _SET_MODULES)
}

__all__ = ["CHECKS", "SET_CHECKS", "Check", "CheckFinding", "QuestionSet", "SetCheck", "check_all", "passing"]


def check_all(asked: QuestionSet, checks: Iterable[Check] | None = None) -> list[CheckFinding]:
    """What is wrong with the questions and answers of one image."""
    return [finding for check in (CHECKS.values() if checks is None else checks) for finding in check.run(asked)]


def passing(asked: QuestionSet) -> list[str]:
    """The questions that no check objects to, in order."""
    bad = {finding.text for finding in check_all(asked)}
    return [question for question in asked.questions if question not in bad]
