"""The examples in docstrings run, and give what they show."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("earthreason", "baselines", "leaderboard", "annotation_tools", "benchmarks")
_MODULES = sorted(
    ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in _PACKAGES
    for path in (_ROOT / package).rglob("*.py")
    if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
)


@pytest.mark.parametrize("name", _MODULES)
def test_docstring_examples_give_what_they_show(name: str) -> None:
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def test_core_packages_show_examples() -> None:
    assert "earthreason.masks.rle" in _MODULES
    assert "earthreason.metrics.evaluate" in _MODULES
