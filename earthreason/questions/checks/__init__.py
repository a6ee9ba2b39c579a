"""Registry of checks. Each module has one check with its rule and examples.

To add a check, write a module with a `CHECK` and add its name to `_MODULES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

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


def _load(modules: Iterable[str]) -> dict[str, Any]:
    checks = [import_module(f"{__name__}.{module}").CHECK for module in modules]
    return {check.name: check for check in checks}


CHECKS: Mapping[str, Check] = _load(_MODULES)
SET_CHECKS: Mapping[str, SetCheck] = _load(_SET_MODULES)

__all__ = ["CHECKS", "SET_CHECKS", "Check", "CheckFinding", "QuestionSet", "SetCheck", "check_all", "passing"]


def check_all(asked: QuestionSet, checks: Iterable[Check] | None = None) -> list[CheckFinding]:
    """Return the findings of the checks on the texts of one image."""
    return [finding for check in (CHECKS.values() if checks is None else checks) for finding in check.run(asked)]


def passing(asked: QuestionSet) -> list[str]:
    """Return the questions without a finding, in order."""
    bad = {finding.text for finding in check_all(asked)}
    return [question for question in asked.questions if question not in bad]
