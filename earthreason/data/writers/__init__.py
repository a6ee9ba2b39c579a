"""Formats that samples are exported to: one file per format, with one function and one call of `register`.

Importing this package imports every module beside this file, so a new format is a new file and nothing else.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from earthreason.data.writers.base import WRITERS

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

__all__ = ["WRITERS"]
