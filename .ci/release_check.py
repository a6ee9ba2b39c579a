"""Check that everything which states a version says the same one, and that the built files are complete.

    python .ci/release_check.py                                  # versions, pins, changelog, citation, docs, cards
    python .ci/release_check.py --tag v0.2.0 --dist dist         # also the tag, and the wheels and sdists

`--unreleased` allows that the changelog and the citation have no date yet. Prints one line for each disagreement and
exits with 1 if there are any.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

FOLDERS = {
    "earthreason": ".",
    "earthreason-baselines": "baselines",
    "earthreason-leaderboard": "leaderboard",
    "earthreason-annotation": "annotation_tools",
}
"""Folders by distribution."""
_ONLY_IN_SOURCE = {"LICENSE", "README.md", "pyproject.toml", "setup.py"}
"""Files at the top of a distribution's folder that no wheel has as package data."""
_RELATIVE_LINK = re.compile(r"(?:\]\(|^\[[^\]]+\]: +)(?!https?://|#|mailto:)([^)\s]+)", re.MULTILINE)
_PINNED = re.compile(r"\b(earthreason(?:-\w+)?)(?:\[[\w,]+\])?==(\d[\w.]*\w)")


def version_of(root: Path) -> str:
    """Read the core's version without importing it."""
    found = re.search(r'^__version__ = "(.+)"$', (root / "earthreason/__init__.py").read_text(), re.MULTILINE)
    if not found:
        raise SystemExit('earthreason/__init__.py has no line __version__ = "..."')
    return found[1]


def check_projects(root: Path, version: str) -> Iterator[str]:
    """Compare the versions of the four projects and their pins on each other."""
    for name, folder in FOLDERS.items():
        path = root / folder / "pyproject.toml"
        project = tomllib.loads(path.read_text())["project"]
        place = path.relative_to(root)
        if project["name"] != name:
            yield f"{place}: name is {project['name']}, not {name}"
        if project.get("version", version) != version:
            yield f"{place}: version is {project['version']}, not {version}"
        if name != "earthreason" and "version" not in project:
            yield f"{place}: no version"
        extras = project.get("optional-dependencies", {})
        lines = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
        yield from _check_pins(str(place), lines, version)
        if "urls" not in project:
            yield f"{place}: no urls"


def _check_pins(place: str, lines: list[str], version: str) -> Iterator[str]:
    for line in lines:
        requirement = Requirement(line)
        if requirement.name in FOLDERS and str(requirement.specifier) != f"=={version}":
            yield f"{place}: requires {line}, not {requirement.name}=={version}"


def check_texts(root: Path, version: str, unreleased: bool) -> Iterator[str]:
    """Compare the changelog, the citation, the README's BibTeX, and the versions that pages ask to install."""
    heads = re.findall(r"^## (.+)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [head for head in heads if head != "Unreleased"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    date = str(citation.get("date-released", ""))
    if str(citation.get("version")) != version:
        yield f"CITATION.cff: version is {citation.get('version')}, not {version}"
    if not unreleased:
        if not released or released[0] != f"{version} - {date}":
            newest = released[0] if released else "none"
            yield f"CHANGELOG.md: the newest section is '{newest}', not '{version} - {date}' with CITATION.cff's date"
        if "Unreleased" in heads:
            yield "CHANGELOG.md: there is still a section 'Unreleased'"
    cited = re.findall(r"^\s*version\s*=\s*\{(.+?)\}", (root / "README.md").read_text(), re.MULTILINE)
    for stated in cited:
        if stated != version:
            yield f"README.md: its BibTeX has the version {stated}, not {version}"
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    pages += [root / folder / "README.md" for folder in FOLDERS.values() if folder != "."]
    for page in pages:
        for name, asked in _PINNED.findall(page.read_text()):
            if name in FOLDERS and asked != version:
                yield f"{page.relative_to(root)}: asks for {name}=={asked}, not {version}"


def check_cards(root: Path, version: str) -> Iterator[str]:
    """Compare the shipped checkpoints with their hashes, and the versions their cards name with this one."""
    folder = root / "baselines/checkpoints"
    index = json.loads((folder / "index.json").read_text())
    shipped = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}
    for name in sorted(shipped ^ set(index)):
        yield f"baselines/checkpoints: {name} is {'not in index.json' if name in shipped else 'only in index.json'}"
    for name in sorted(shipped & set(index)):
        for file, expected in index[name]["sha256"].items():
            path = folder / name / file
            if not path.is_file():
                yield f"baselines/checkpoints/{name}: {file} is missing"
            elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
                yield f"baselines/checkpoints/{name}: {file} has another hash than in index.json"
        card = (folder / name / "README.md").read_text()
        made_by = re.findall(r"\bearthreason (\d[\w.]*\w)", card)
        if not made_by:
            yield f"baselines/checkpoints/{name}/README.md: names no version of earthreason that trained it"
        for made in made_by:
            if Version(made) > Version(version):
                yield f"baselines/checkpoints/{name}/README.md: trained by earthreason {made}, later than {version}"


def check_files(root: Path, dist: Path, version: str) -> Iterator[str]:
    """Check wheels and sdists: names, versions, platforms, pins, descriptions and contents."""
    missing = {(name, kind) for name in FOLDERS for kind in ("wheel", "sdist")}
    for path in sorted(dist.iterdir()):
        wheel = path.suffix == ".whl"
        if wheel:
            found, stated, _, tags = parse_wheel_filename(path.name)
        elif path.name.endswith(".tar.gz"):
            found, stated = parse_sdist_filename(path.name)
            tags = frozenset()
        else:
            yield f"{path.name}: neither a wheel nor an sdist"
            continue
        if found not in FOLDERS or stated != Version(version):
            yield f"{path.name}: not of {version} of {', '.join(FOLDERS)}"
            continue
        missing.discard((str(found), "wheel" if wheel else "sdist"))
        if any(tag.platform.startswith("linux_") for tag in tags):
            yield f"{path.name}: PyPI refuses the platform linux; .ci/build gives it a manylinux tag"
        if wheel:
            yield from _check_wheel(root, path, str(found), version)
        else:
            with tarfile.open(path) as archive:
                if f"{path.name.removesuffix('.tar.gz')}/LICENSE" not in archive.getnames():
                    yield f"{path.name}: no LICENSE"
    for name, kind in sorted(missing):
        yield f"{dist}: no {kind} of {name} {version}"


def _check_wheel(root: Path, path: Path, name: str, version: str) -> Iterator[str]:
    package = name.replace("-", "_")
    with zipfile.ZipFile(path) as wheel:
        names = {entry for entry in wheel.namelist() if not entry.endswith("/")}  # auditwheel adds folders
        information = f"{package}-{version}.dist-info"
        metadata = BytesParser().parsebytes(wheel.read(f"{information}/METADATA"))
    yield from _check_metadata(path.name, metadata, version)
    if f"{information}/licenses/LICENSE" not in names:
        yield f"{path.name}: no LICENSE"
    packed = {entry for entry in names if not entry.startswith(f"{information}/")}
    compiled = {entry for entry in packed if entry.startswith("earthreason/masks/_regions.") and name == "earthreason"}
    if name == "earthreason" and not compiled:
        yield f"{path.name}: no compiled kernel"
    tracked = _tracked_files(root, name)
    if tracked is not None:
        yield from (f"{path.name}: {entry} is missing" for entry in sorted(tracked - packed))
        yield from (f"{path.name}: {entry} is not in the repository" for entry in sorted(packed - tracked - compiled))


def _check_metadata(place: str, metadata: Message, version: str) -> Iterator[str]:
    if metadata["Version"] != version:
        yield f"{place}: METADATA has the version {metadata['Version']}"
    yield from _check_pins(place, metadata.get_all("Requires-Dist", []), version)
    if not metadata.get_all("Project-URL"):
        yield f"{place}: no project URLs"
    description = str(metadata.get_payload())
    if metadata["Description-Content-Type"] != "text/markdown" or not description.strip():
        yield f"{place}: no description in Markdown"
    for target in _RELATIVE_LINK.findall(description):
        yield f"{place}: the description links to {target}, which leads nowhere on PyPI"


def _tracked_files(root: Path, name: str) -> set[str] | None:
    """List what a wheel must have: the files of its folder that Git tracks; None outside a checkout."""
    if not (root / ".git").exists():
        return None
    folder = FOLDERS[name] if name != "earthreason" else "earthreason"
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=root, capture_output=True, text=True, check=True)
    inside = {path.removeprefix(f"{folder}/") for path in listed.stdout.split("\0") if path}
    if name == "earthreason":
        inside = {path for path in inside if not path.endswith((".c", ".h"))}
    else:
        inside -= _ONLY_IN_SOURCE
    return {f"{name.replace('-', '_')}/{path}" for path in inside}


def find_disagreements(
    root: Path, tag: str | None = None, dist: Path | None = None, unreleased: bool = False
) -> list[str]:
    """Run all checks.

    Args:
        root: folder of the checkout.
        tag: tag of the release, which must be `v` and the version.
        dist: folder of the built wheels and sdists.
        unreleased: whether the changelog and the citation may still be without a date.

    Returns:
        One line for each disagreement.
    """
    version = version_of(root)
    faults = [] if tag is None or tag == f"v{version}" else [f"the tag is {tag}, not v{version}"]
    faults += check_projects(root, version)
    faults += check_texts(root, version, unreleased)
    faults += check_cards(root, version)
    if dist is not None:
        faults += check_files(root, dist, version)
    return faults


def main() -> None:
    """Read the command line, print the disagreements, and exit with 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="tag of the release, such as v0.2.0")
    parser.add_argument("--dist", type=Path, help="folder with the built wheels and sdists")
    parser.add_argument("--unreleased", action="store_true", help="allow a changelog and a citation without a date")
    options = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    faults = find_disagreements(root, options.tag, options.dist, options.unreleased)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if faults:
        raise SystemExit(1)
    sys.stdout.write(f"release {version_of(root)}: all agree\n")


if __name__ == "__main__":
    main()
