"""Check that each direct dependency is installed at its lower bound: `check_bounds.py [--but NAME] FOLDER[EXTRA]...`.

A bound at which nothing can be installed, since another package asks for more, promises what nobody tested.
"""

import argparse
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


def requirements_of(target: str) -> list[Requirement]:
    """Read the dependencies that FOLDER[EXTRA,...] names, without this project's own packages."""
    folder, extras = re.fullmatch(r"([^\[]+)(?:\[(.*)\])?", target).groups()
    project = tomllib.loads((Path(folder) / "pyproject.toml").read_text())["project"]
    texts = list(project["dependencies"])
    for extra in (extras or "").split(",") if extras else []:
        texts += project["optional-dependencies"][extra]
    found = [Requirement(text) for text in texts]
    foreign = [one for one in found if not one.name.startswith("earthreason")]
    return [one for one in foreign if one.marker is None or one.marker.evaluate()]


def lower_bounds(requirement: Requirement) -> list[Version]:
    return [Version(one.version) for one in requirement.specifier if one.operator in (">=", "==", "~=")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--but", action="append", default=[])
    arguments = parser.parse_args()
    bounds: dict[str, list[Version]] = {}
    for requirement in (one for target in arguments.targets for one in requirements_of(target)):
        bounds.setdefault(canonicalize_name(requirement.name), []).extend(lower_bounds(requirement))
    faults = []
    for name in sorted(bounds.keys() - set(arguments.but)):
        installed = importlib.metadata.version(name)
        if not bounds[name]:
            faults.append(f"{name} has no lower bound")
        elif Version(installed) != max(bounds[name]):
            faults.append(f"{name}>={max(bounds[name])} cannot be had with the others; the lowest is {installed}")
    print("\n".join(faults) or f"{len(bounds)} dependencies are at their lower bounds")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
