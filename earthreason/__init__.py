"""EarthReason: data, judge and reference models for geospatial pixel reasoning.

Importing this package is cheap (no torch, transformers or datasets); the public functions load what they need
when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from earthreason.data import alias as _alias

if TYPE_CHECKING:
    from earthreason.data.load import load_dataset as load_dataset
    from earthreason.metrics.accumulator import RegionAccumulator as RegionAccumulator
    from earthreason.metrics.evaluate import evaluate as evaluate
    from earthreason.metrics.result import Result as Result
    from earthreason.reports.show import show as show

__version__ = "0.2.0"

_LAZY = {
    "RegionAccumulator": "earthreason.metrics.accumulator",
    "Result": "earthreason.metrics.result",
    "evaluate": "earthreason.metrics.evaluate",
    "load_dataset": "earthreason.data.load",
    "show": "earthreason.reports.show",
}

__all__ = ["RegionAccumulator", "Result", "__version__", "evaluate", "load_dataset", "show"]

if not TYPE_CHECKING:  # or type checkers would accept every misspelt name

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            value = getattr(import_module(_LAZY[name]), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'earthreason' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


_alias.install()
