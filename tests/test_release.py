import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / ".ci" / "release_check.py"
DATE = "2026-11-30"


def load():
    specification = importlib.util.spec_from_file_location("release_check", PROGRAM)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


check = load()
VERSION = check.version_of(ROOT)
STATED = ["README.md", "CITATION.cff", "earthreason/__init__.py"]
STATED += [f"{folder}/{name}" for folder in check.FOLDERS.values() for name in ("pyproject.toml", "README.md")]


@pytest.fixture
def checkout(tmp_path):
    """The files that state versions, as they are at a release."""
    root = tmp_path / "checkout"
    for name in STATED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "baselines/checkpoints", root / "baselines/checkpoints")
    (root / "docs").mkdir()
    (root / "docs/install.md").write_text(f"pip install 'earthreason-baselines[serve]=={VERSION}'\n")
    (root / "CHANGELOG.md").write_text(
        f"# Changelog\n\n## {VERSION} - {DATE}\n\n- A change.\n\n## 0.0.1 - 2026-01-01\n"
    )
    lines = [line for line in (root / "CITATION.cff").read_text().splitlines() if not line.startswith("date-released")]
    (root / "CITATION.cff").write_text("\n".join([*lines, f"date-released: {DATE}", ""]))
    return root


def change(path, before, after):
    text = path.read_text()
    assert re.search(before, text), f"{path}: nothing matches {before}"
    path.write_text(re.sub(before, after, text, count=1))


def test_a_release_agrees(checkout):
    assert check.find_disagreements(checkout, tag=f"v{VERSION}") == []


def test_the_checkout_agrees_but_for_the_date():
    assert check.find_disagreements(ROOT, unreleased=True) == []


@pytest.mark.parametrize(
    ("name", "before", "after", "fault"),
    [
        ("baselines/pyproject.toml", r'\nversion = ".*"', '\nversion = "9.9.9"', "version is 9.9.9, not"),
        ("leaderboard/pyproject.toml", r'"earthreason==[\d.]+"', '"earthreason==9.9.9"', "requires earthreason==9.9.9"),
        ("annotation_tools/pyproject.toml", r'"earthreason-baselines==[\d.]+"', '"earthreason-baselines"', "requires"),
        ("baselines/pyproject.toml", r'"earthreason\[geo\]==', '"earthreason[geo]>=', "requires earthreason"),
        ("leaderboard/pyproject.toml", r"\[project\.urls\]", "[tool.other]", "no urls"),
        ("annotation_tools/pyproject.toml", r'name = "earthreason-annotation"', 'name = "other"', "name is other"),
        ("CITATION.cff", r"\nversion: [\d.]+", "\nversion: 9.9.9", "CITATION.cff: version is 9.9.9"),
        ("CITATION.cff", DATE, "2026-12-01", "CHANGELOG.md: the newest section is"),
        ("CHANGELOG.md", rf"## {re.escape(VERSION)} - ", "## 9.9.9 - ", "CHANGELOG.md: the newest section is"),
        ("CHANGELOG.md", r"# Changelog\n", "# Changelog\n\n## Unreleased\n", "still a section 'Unreleased'"),
        ("docs/install.md", r"==[\d.]+", "==9.9.9", "docs/install.md: asks for earthreason-baselines==9.9.9"),
        ("README.md", r"\A", "  version = {9.9.9},\n", "README.md: its BibTeX has the version 9.9.9"),
        ("earthreason/__init__.py", r'__version__ = ".*"', '__version__ = "0.0.9"', "trained by earthreason"),
        ("baselines/checkpoints/tiny/README.md", "earthreason [0-9]", "earthreason v", "names no version"),
        ("baselines/checkpoints/tiny/config.json", r"\{", "{ ", "config.json has another hash"),
        ("baselines/checkpoints/index.json", '"tiny"', '"other"', "tiny is not in index.json"),
    ],
)
def test_each_disagreement_is_a_line(checkout, name, before, after, fault):
    if fault == "names no version":
        card = checkout / name
        card.write_text(re.sub(before, after, card.read_text()))
    else:
        change(checkout / name, before, after)
    assert any(fault in line for line in check.find_disagreements(checkout)), check.find_disagreements(checkout)


def test_another_tag_is_a_line(checkout):
    assert check.find_disagreements(checkout, tag="v9.9.9") == [f"the tag is v9.9.9, not v{VERSION}"]


def build(dist, name, *, version=VERSION, platform="any", leave_out=(), more=(), metadata=(), description="Text."):
    """Write a wheel of a distribution from the checkout's own files, as a release has them."""
    package = name.replace("-", "_")
    information = f"{package}-{version}.dist-info"
    head = {"Metadata-Version": "2.4", "Name": name, "Version": version, "Description-Content-Type": "text/markdown"}
    head |= {"Project-URL": "Source, https://example.org", **dict(metadata)}
    text = "".join(f"{key}: {value}\n" for key, value in head.items() if value)
    names = check._tracked_files(ROOT, name) - set(leave_out)
    names |= {"earthreason/masks/_regions.abi3.so"} if name == "earthreason" else set()
    with zipfile.ZipFile(dist / f"{package}-{version}-py3-none-{platform}.whl", "w") as wheel:
        for entry in {*names, *more, f"{information}/licenses/LICENSE"} - set(leave_out):
            wheel.writestr(entry, "")
        wheel.writestr(f"{information}/METADATA", f"{text}\n{description}\n")


def pack(dist, name, *, inside="LICENSE"):
    stem = f"{name.replace('-', '_')}-{VERSION}"
    with tarfile.open(dist / f"{stem}.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo(f"{stem}/{inside}"), io.BytesIO())


@pytest.fixture
def dist(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("what belongs into a wheel is asked of Git, and this is not a Git checkout")
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in check.FOLDERS:
        build(folder, name)
        pack(folder, name)
    return folder


def faults_of(dist):
    return list(check.check_files(ROOT, dist, VERSION))


def test_complete_files_agree(dist):
    assert faults_of(dist) == []


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"leave_out": ["earthreason_leaderboard/templates/board.html"]}, "templates/board.html is missing"),
        ({"more": ["leaderboard/__init__.py"]}, "leaderboard/__init__.py is not in the repository"),
        ({"more": ["earthreason_leaderboard/setup.py"]}, "earthreason_leaderboard/setup.py is not in the repository"),
        ({"platform": "linux_x86_64"}, "PyPI refuses the platform linux"),
        ({"metadata": {"Requires-Dist": "earthreason==9.9.9"}}, "requires earthreason==9.9.9"),
        ({"metadata": {"Version": "9.9.9"}}, "METADATA has the version 9.9.9"),
        ({"metadata": {"Project-URL": ""}}, "no project URLs"),
        ({"metadata": {"Description-Content-Type": "text/x-rst"}}, "no description in Markdown"),
        ({"description": "See [the data](docs/data.md)."}, "links to docs/data.md"),
        ({"description": "See [the data][data].\n\n[data]: docs/data.md"}, "links to docs/data.md"),
        ({"leave_out": [f"earthreason_leaderboard-{VERSION}.dist-info/licenses/LICENSE"]}, "no LICENSE"),
        ({"version": "9.9.9"}, "not of"),
    ],
)
def test_each_fault_of_a_wheel_is_a_line(dist, options, fault):
    next(dist.glob("earthreason_leaderboard-*.whl")).unlink()
    build(dist, "earthreason-leaderboard", **options)
    assert any(fault in line for line in faults_of(dist)), faults_of(dist)


def test_a_core_without_its_kernel_is_a_line(dist):
    next(dist.glob("earthreason-*.whl")).unlink()
    build(dist, "earthreason", leave_out=["earthreason/masks/_regions.abi3.so"])
    assert any("no compiled kernel" in line for line in faults_of(dist))


def test_missing_files_and_strangers_are_lines(dist):
    next(dist.glob("earthreason_baselines-*.whl")).unlink()
    next(dist.glob("earthreason_annotation-*.tar.gz")).unlink()
    pack(dist, "earthreason-leaderboard", inside="README.md")
    (dist / "notes.txt").touch()
    faults = "\n".join(faults_of(dist))
    assert f"no wheel of earthreason-baselines {VERSION}" in faults
    assert f"no sdist of earthreason-annotation {VERSION}" in faults
    assert f"earthreason_leaderboard-{VERSION}.tar.gz: no LICENSE" in faults
    assert "notes.txt: neither a wheel nor an sdist" in faults


def test_the_program_exits_with_1_and_names_the_place():
    done = subprocess.run([sys.executable, PROGRAM, "--unreleased", "--tag", "v9"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"the tag is v9, not v{VERSION}\n"
