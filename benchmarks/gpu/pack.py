"""Collect the wheels that the GPU machine lacks, and check that everything to copy is within the size limit.

The wheels are found from metadata: the requirements of EarthReason and, recursively, those of the wheels, except for
the packages in machine.txt, which the machine already has.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from baselines.common.languages import text_width
from baselines.common.words import MINILM, load_words
from baselines.segearth_r1.prompt import fixed_texts
from benchmarks.gpu.context import DESCRIBE, ROOT, WORDS
from benchmarks.gpu.errors import KitError
from earthreason.errors import EarthReasonError
from earthreason.synthetic.categories import CATEGORIES
from earthreason.synthetic.phrases import load_phrases, load_templates


@dataclass(frozen=True)
class Machine:
    """The machine that the kit runs on.

    Attributes:
        python: version of Python.
        platforms: platforms whose wheels work there, as pip names them.
        packages: canonical names of the packages it already has.
    """

    python: str = "3.12"
    platforms: tuple[str, ...] = (
        "manylinux_2_28_x86_64",
        "manylinux_2_27_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
        "manylinux1_x86_64",
    )
    packages: frozenset[str] = frozenset()

    def needs(self, requirement: Requirement, extra: str = "") -> bool:
        """Whether a requirement, of an extra or of none, applies on the machine and is not met there."""
        facts = {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "platform_python_implementation": "CPython",
            "platform_machine": "x86_64",
            "platform_system": "Linux",
            "platform_release": "",
            "platform_version": "",
            "sys_platform": "linux",
            "os_name": "posix",
        }
        if requirement.marker is not None and not requirement.marker.evaluate({**facts, "extra": extra}):
            return False
        return canonicalize_name(requirement.name) not in self.packages


TESTS = ("pytest", "hypothesis")
"""Packages of the extra `dev` that the GPU tests need."""
GOLDENS = ("tiny.json", "tiny.npz")
"""Files of the golden run of SegEarth-R1, which are kept beside the checkout."""
_GOLDENS_AT = Path("shared", "goldens", "segearth_r1")
_MIB = 2**20


@dataclass(frozen=True)
class Wheel:
    """A wheel on disk."""

    path: Path
    name: str = field(init=False)
    version: Version = field(init=False)

    def __post_init__(self) -> None:
        """Read the name and the version from the file name."""
        name, version, _, _ = parse_wheel_filename(self.path.name)
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "version", version)

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.path.stat().st_size

    def requirements(self) -> list[Requirement]:
        """Read its requirements, those of all its extras included."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                inside = next(n for n in archive.namelist() if n.count("/") == 1 and n.endswith(".dist-info/METADATA"))
                lines = message_from_bytes(archive.read(inside)).get_all("Requires-Dist") or []
            return [Requirement(str(line)) for line in lines]
        except (zipfile.BadZipFile, StopIteration, InvalidRequirement) as error:
            reason = str(error) or "no METADATA"
            raise KitError(f"{self.path}: cannot be read as a wheel ({reason}); delete it and pack again") from None


Fetch = Callable[[Requirement], Wheel]
"""Function that returns the wheel for a requirement."""


def pack(out: Path, limit_mib: float) -> None:
    """Fill a folder with the packages that the GPU machine lacks, and list them.

    Args:
        out: folder to fill; wheels in it that are no longer needed are deleted.
        limit_mib: limit for the folder and the working tree together, MiB.

    Raises:
        KitError: a wheel does not exist, or the total is over the limit.
    """
    try:
        machine = read_machine(ROOT / "benchmarks" / "gpu" / "machine.txt")
        folder = out / "wheels"
        folder.mkdir(parents=True, exist_ok=True)
        wheels = close(read_roots(ROOT), machine, lambda wanted: fetch(wanted, folder, machine))
        for path in set(folder.glob("*.whl")) - {wheel.path for wheel in wheels}:
            path.unlink()
        for wheel in wheels:
            print(f"{wheel.name:20s} {wheel.version!s:>12s} {wheel.size / _MIB:8.2f} MiB")
        print(_copy_goldens(ROOT.parent / _GOLDENS_AT, out / _GOLDENS_AT))
        print(_write_words(out / WORDS))
        (out / "commit.txt").write_text(f"{_commit(ROOT)}\n", encoding="utf-8")
        check_size(ROOT, out, limit_mib)
    except OSError as error:
        raise KitError(f"{error.filename or out}: {error.strerror or error}; nothing was packed") from None


def _write_words(folder: Path) -> str:
    """Write the words from which `tiny` starts, as the machine does not have their sentence encoder."""
    try:
        words = load_words(MINILM, [*fixed_texts(), *_training_texts()], text_width("tiny"))
    except EarthReasonError as error:
        return f"no words, so tiny cannot be trained: {error}"
    words.save(folder)
    return f"words: {len(words.embeddings):,} pieces"


def _training_texts() -> Iterator[str]:
    """Yield the texts from which training questions and answers are made."""
    templates = load_templates("train")
    for sentences in (templates.frames, templates.requests, templates.answers):
        yield from (sentence for group in sentences.values() for sentence in group)
    yield from (*templates.heads, *templates.openers)
    for phrases in map(load_phrases, CATEGORIES):
        yield from (phrases.singular, phrases.plural, phrases.looks)
        yield from (*phrases.clauses("train"), *phrases.stories("train"))


def read_machine(path: Path) -> Machine:
    """Read the list of packages on the machine; `#` begins a comment."""
    words = [word for line in path.read_text(encoding="utf-8").splitlines() for word in line.partition("#")[0].split()]
    return Machine(packages=frozenset(canonicalize_name(word) for word in words))


def read_roots(checkout: Path) -> list[Requirement]:
    """Read the requirements of EarthReason, its baselines and its GPU tests; EarthReason itself is in the checkout."""
    core, baselines = (
        tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in (checkout, checkout / "baselines")
    )
    tests = [
        line for line in core["optional-dependencies"]["dev"] if canonicalize_name(Requirement(line).name) in TESTS
    ]
    lines = [*core["dependencies"], *baselines["dependencies"], *tests]
    return [wanted for wanted in map(Requirement, lines) if canonicalize_name(wanted.name) != "earthreason"]


def close(roots: Iterable[Requirement], machine: Machine, get: Fetch) -> list[Wheel]:
    """Return the wheels that requirements need, directly or not, without what the machine has; sorted by name.

    Args:
        roots: requirements to begin with.
        machine: machine on which the markers of requirements are evaluated, and whose packages are not carried.
        get: function that returns the wheel for a requirement.

    Raises:
        KitError: two requirements exclude each other.
    """
    chosen: dict[str, Wheel] = {}
    done: set[tuple[str, str]] = set()
    waiting = deque((requirement, "EarthReason") for requirement in roots if machine.needs(requirement))
    while waiting:
        requirement, asker = waiting.popleft()
        name = canonicalize_name(requirement.name)
        if name not in chosen:
            chosen[name] = get(requirement)
        wheel = chosen[name]
        if not requirement.specifier.contains(wheel.version, prereleases=True):
            raise KitError(
                f"{name} {wheel.version}: {asker} requires {requirement}; install a version here that fits all"
            )
        for extra in {"", *requirement.extras}:
            if (name, extra) not in done:
                done.add((name, extra))
                waiting.extend((needed, name) for needed in wheel.requirements() if machine.needs(needed, extra))
    return [chosen[name] for name in sorted(chosen)]


def fetch(requirement: Requirement, folder: Path, machine: Machine) -> Wheel:
    """Fetch the wheel of a package: the version installed here, else the newest that fits.

    Args:
        requirement: requirement that names the package.
        folder: folder for wheels; a wheel of the right version in it is not fetched again.
        machine: machine that the wheel must work on.

    Raises:
        KitError: no such wheel exists.
    """
    name = canonicalize_name(requirement.name)
    try:
        version = metadata.version(name)
        wanted = f"{name}=={version}"
    except metadata.PackageNotFoundError:
        version, wanted = "", f"{name}{requirement.specifier}"
    for wheel in _wheels(folder):
        if version and (wheel.name, wheel.version) == (name, Version(version)) and zipfile.is_zipfile(wheel.path):
            return wheel
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        target = ["--python-version", machine.python, "--implementation", "cp"]
        target += [word for platform in machine.platforms for word in ("--platform", platform)]
        command = [*pip, *target, "--dest", temporary, wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        arrived = sorted(Path(temporary).glob("*.whl"))
        if done.returncode or not arrived:
            raise KitError(
                f"{name} {version or requirement.specifier or 'newest'}: no wheel for Python {machine.python}, "
                f"Linux x86_64; install a version here that has one (pip: {_last_line(done.stderr)})"
            )
        return Wheel(arrived[0].replace(folder / arrived[0].name))


def _wheels(folder: Path) -> Iterator[Wheel]:
    """Yield the wheels in a folder."""
    for path in sorted(folder.glob("*.whl")):
        with suppress(InvalidWheelFilename):
            yield Wheel(path)


def check_size(root: Path, out: Path, limit_mib: float) -> None:
    """Add up the size of everything to copy, and print it.

    Args:
        root: root of the checkout; its tracked files and those that git does not ignore are carried.
        out: folder that `pack` filled.
        limit_mib: limit for the total, MiB.

    Raises:
        KitError: the total is over the limit; the message names the three largest files.
    """
    tree = {path: path.lstat().st_size for path in _tree(root) if path.is_file()}
    packed = {path.resolve(): path.stat().st_size for path in out.rglob("*") if path.is_file()}
    both = {**tree, **packed}
    total, ours = sum(both.values()) / _MIB, sum(packed.values()) / _MIB
    print(f"packed {ours:.2f} MiB + working tree {total - ours:.2f} MiB = {total:.2f} MiB of {limit_mib:g} MiB")
    if total > limit_mib:
        largest = sorted(both, key=lambda path: -both[path])[:3]
        named = ", ".join(f"{_short(path, root)} ({both[path] / _MIB:.2f} MiB)" for path in largest)
        raise KitError(f"{total:.2f} MiB to copy, more than {limit_mib:g} MiB; the largest files: {named}")


def _tree(root: Path) -> list[Path]:
    """List the files that git tracks, and those it does not ignore."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [root.resolve() / name for name in listed.split("\0") if name]


def _commit(root: Path) -> str:
    """Return the commit of the checkout for the results, because its history is not copied."""
    return _git(root, *DESCRIBE).strip()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    if done.returncode:
        reason = _last_line(done.stderr.decode(errors="replace"))
        raise KitError(f"{root}: {reason}; pack from a git checkout with a commit")
    return done.stdout.decode(errors="surrogateescape")


def _copy_goldens(source: Path, target: Path) -> str:
    """Copy the golden run; return a line to print about it."""
    if not all((source / name).is_file() for name in GOLDENS):
        shutil.rmtree(target, ignore_errors=True)
        return f"{source} has no golden run: its test will be skipped there"
    target.mkdir(parents=True, exist_ok=True)
    for name in GOLDENS:
        shutil.copyfile(source / name, target / name)
    return f"golden run: {sum((target / name).stat().st_size for name in GOLDENS) / _MIB:.2f} MiB"


def _last_line(text: str) -> str:
    """Return the last error line of a program's output, or else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return (errors or lines or ["it printed nothing"])[-1]


def _short(path: Path, root: Path) -> str:
    return str(path.relative_to(root.resolve())) if path.is_relative_to(root.resolve()) else str(path)
