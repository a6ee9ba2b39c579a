"""Scoring protocols: one file for each evaluator, with a declaration and one call of `register`.

A protocol contains no code. It states the grid, the questions that are scored, and how empty masks count. Scores under
different protocols are not comparable. Importing this package imports every module in its folder, so a new protocol is
one new file.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from earthreason.metrics.protocols.base import (
    PROTOCOLS,
    TENTHS,
    Protocol,
    Unit,
    View,
    get_protocol,
    get_protocols,
    register,
)

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)

SEGEARTH_R1 = PROTOCOLS["segearth-r1"]
"""The official protocol."""
NATIVE = PROTOCOLS["native"]
"""Masks at the images' own size."""
DEFAULT_PROTOCOL = SEGEARTH_R1.name
"""Name of the protocol that is used where none is given."""


def protocol_of(config: str) -> Protocol:
    """Return the protocol by which the authors of a configuration score it; the default one if they published none."""
    return next((protocol for protocol in PROTOCOLS.values() if config in protocol.configs), SEGEARTH_R1)


__all__ = [
    "DEFAULT_PROTOCOL",
    "NATIVE",
    "PROTOCOLS",
    "SEGEARTH_R1",
    "TENTHS",
    "Protocol",
    "Unit",
    "View",
    "get_protocol",
    "get_protocols",
    "protocol_of",
    "register",
]
