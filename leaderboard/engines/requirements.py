"""The packages that the judge of a bundle needs, in the versions that this installation has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import cast

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MODULES = {
    "numpy": "numpy",
    "numba": "numba",
    "pycocotools": "pycocotools",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "msgspec": "msgspec",
}
"""Distributions that the judge needs, by the name of the module they install."""
IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
"""A public image with the Python of this installation and no packages, which is where the versions fit."""
_HOST = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}


def pin_requirements() -> list[str]:
    """List the packages and what they need in turn as `name==version`.

    A package that is needed on Linux only and therefore is not installed here is listed without a version.
    """
    pinned: dict[str, str] = {}
    waiting = list(MODULES.values())
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name not in pinned:
            try:
                pinned[name] = f"{name}=={version(name)}"
            except PackageNotFoundError:
                pinned[name] = name
                continue
            waiting += _needed_by(name)
    return sorted(pinned.values())


def _needed_by(name: str) -> Iterator[str]:
    environment = {**cast("dict[str, str]", default_environment()), **_HOST}
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield requirement.name
