"""The versions that CI installs are versions that the four pyproject.toml allow."""

import tomllib
from pathlib import Path

import pytest

pytest.importorskip("packaging")
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ["3.11", "3.12", "3.13"]
# What `make lock` resolves; the others are for users with a GPU or a model of their own.
EXTRAS = {
    ".": ["geo", "croissant", "questions", "docs", "dev"],
    "baselines": ["serve", "export"],
    "leaderboard": [],
    "annotation_tools": [],
}
PROJECTS = {folder: tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"] for folder in EXTRAS}


def environment(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
        "extra": "",
    }


def pinned(python: str) -> dict[str, str]:
    """Read the versions that CI installs on one Python."""
    lines = [*(ROOT / "constraints.txt").read_text().splitlines(), *(ROOT / ".ci/lock.txt").read_text().splitlines()]
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate(environment(python))]
    assert len({canonicalize_name(pin.name) for pin in here}) == len(here)
    return {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in here}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("folder", EXTRAS)
def test_the_lock_file_has_an_allowed_version_of_every_dependency(folder, python):
    project = PROJECTS[folder]
    extras = project.get("optional-dependencies", {})
    texts = [*project["dependencies"], *(text for name in EXTRAS[folder] for text in extras[name])]
    pins = pinned(python)
    for requirement in map(Requirement, texts):
        if requirement.name.startswith("earthreason"):
            continue
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in .ci/lock.txt: run `make lock`"
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}: run `make lock`"


def test_every_python_that_is_named_is_at_least_the_one_required_and_tested_in_ci():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    for folder, project in PROJECTS.items():
        named = [line.rpartition(":: ")[2] for line in project["classifiers"] if "Python :: 3." in line]
        assert named == PYTHONS, folder
        assert project["requires-python"] == f">={PYTHONS[0]}", folder
    assert all(f'"{python}"' in workflow for python in PYTHONS)
