import subprocess
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from tokenizers import Tokenizer, models

from baselines.common import words
from baselines.common.words import Words, load_words
from benchmarks.gpu import pack as module
from benchmarks.gpu.errors import KitError
from benchmarks.gpu.pack import Machine, Wheel, check_size, close, fetch, pack, read_machine, read_roots
from earthreason.synthetic.phrases import load_phrases, load_templates

ROOT = Path(module.__file__).parents[2]


def write_wheel(folder, name, version="1.0", requires=(), tag="py3-none-any", padding=0):
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-{tag}.whl"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", "\n".join(lines) + "\n\nText.\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
        archive.writestr("padding", bytes(padding))
    return Wheel(path)


def names_of(roots, wheels, packages=()):
    """Return the names of the wheels that the roots need, chosen from those given."""
    shelf = {wheel.name: wheel for wheel in wheels}
    found = close(map(Requirement, roots), Machine(packages=frozenset(packages)), lambda wanted: shelf[wanted.name])
    return [wheel.name for wheel in found]


def test_what_a_wheel_needs_is_carried_and_what_that_needs_too(tmp_path):
    needs = {"a": ["b>=1"], "b": ["c"], "c": []}
    wheels = [write_wheel(tmp_path, name, requires=requires) for name, requires in needs.items()]
    assert names_of(["a"], wheels) == ["a", "b", "c"]


def test_what_the_machine_has_is_not_carried_nor_what_it_needs(tmp_path):
    wheels = [write_wheel(tmp_path, "a", requires=["NumPy"]), write_wheel(tmp_path, "b")]
    assert names_of(["a", "numba"], wheels, ["numpy", "numba"]) == ["a"]


@pytest.mark.parametrize(
    "marker", ["python_version < '3.12'", "sys_platform == 'win32'", "platform_machine == 'aarch64'", "extra == 'fast'"]
)
def test_a_requirement_of_other_machines_is_left_out(tmp_path, marker):
    assert names_of(["a"], [write_wheel(tmp_path, "a", requires=[f"b; {marker}"])]) == ["a"]


def test_markers_are_those_of_python_3_12_on_linux(tmp_path):
    marker = "python_version == '3.12' and sys_platform == 'linux' and platform_machine == 'x86_64'"
    wheels = [write_wheel(tmp_path, "a", requires=[f"b; {marker}"]), write_wheel(tmp_path, "b")]
    assert names_of(["a"], wheels) == ["a", "b"]


def test_an_extra_is_carried_where_it_is_asked_for(tmp_path):
    wheels = [write_wheel(tmp_path, "a", requires=["b; extra == 'fast'"]), write_wheel(tmp_path, "b")]
    assert names_of(["a", "a[fast]"], wheels) == ["a", "b"]


def test_a_circle_of_requirements_ends(tmp_path):
    wheels = [write_wheel(tmp_path, "a", requires=["b"]), write_wheel(tmp_path, "b", requires=["a"])]
    assert names_of(["a"], wheels) == ["a", "b"]


def test_a_version_that_another_package_does_not_take_is_named(tmp_path):
    wheels = [write_wheel(tmp_path, "a", requires=["b==2.*"]), write_wheel(tmp_path, "b", "1.5")]
    with pytest.raises(KitError, match=r"^b 1.5: a requires b==2\.\*; install"):
        names_of(["a"], wheels)


def test_a_wheel_cut_off_is_named(tmp_path):
    path = tmp_path / "a-1.0-py3-none-any.whl"
    path.write_bytes(b"PK")
    with pytest.raises(KitError, match="a-1.0-py3-none-any.whl: cannot be read as a wheel"):
        names_of(["a"], [Wheel(path)])


def test_the_list_of_the_machine_has_what_is_too_large_to_carry():
    packages = read_machine(ROOT / "benchmarks" / "gpu" / "machine.txt").packages
    assert {"torch", "numpy", "numba", "llvmlite", "scikit-image", "transformers", "pytest"} <= packages


def test_comments_in_the_list_of_the_machine_name_no_packages(tmp_path):
    (tmp_path / "list").write_text("# torch is not one\nNumPy scikit_image # nor is this\n")
    assert read_machine(tmp_path / "list").packages == {"numpy", "scikit-image"}


def test_the_roots_are_core_baselines_and_tests():
    names = {requirement.name for requirement in read_roots(ROOT)}
    assert {"datasets", "openai", "torch", "peft", "pytest", "hypothesis"} <= names
    assert not names & {"fastapi", "mypy", "pytest-xdist", "mkdocs-material"}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Make a folder of wheels that pip uses instead of the network."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def wheels(tmp_path):
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


def test_the_version_installed_here_is_fetched_though_a_newer_one_exists(shelf, wheels):
    here = metadata.version("pluggy")
    write_wheel(shelf, "pluggy", here)
    write_wheel(shelf, "pluggy", "99.0")
    assert str(fetch(Requirement("pluggy"), wheels, Machine()).version) == here


def test_the_newest_that_fits_is_fetched_of_a_package_not_installed_here(shelf, wheels):
    for version in ("1.0", "1.2", "2.0"):
        write_wheel(shelf, "earthreason-nowhere", version)
    assert str(fetch(Requirement("earthreason-nowhere<2"), wheels, Machine()).version) == "1.2"


def test_a_wheel_for_the_other_python_is_chosen(shelf, wheels):
    for tag in ("cp311-cp311-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_x86_64"):
        write_wheel(shelf, "earthreason-nowhere", tag=tag)
    assert "cp312" in fetch(Requirement("earthreason-nowhere"), wheels, Machine()).path.name


def test_a_wheel_that_lies_there_is_not_fetched_again(shelf, wheels):
    lying = write_wheel(wheels, "pluggy", metadata.version("pluggy"))
    assert fetch(Requirement("pluggy"), wheels, Machine()) == lying  # the shelf is empty


def test_a_missing_wheel_is_told_with_version_and_what_pip_said(shelf, wheels):
    write_wheel(shelf, "pluggy", metadata.version("pluggy"), tag="cp311-cp311-manylinux_2_28_x86_64")
    wanted = rf"^pluggy {metadata.version('pluggy')}: no wheel for Python 3.12.*No matching distribution"
    with pytest.raises(KitError, match=wanted):
        fetch(Requirement("pluggy"), wheels, Machine())


def test_a_failed_fetch_leaves_no_scraps(shelf, wheels):
    with pytest.raises(KitError):
        fetch(Requirement("pluggy"), wheels, Machine())
    assert list(wheels.iterdir()) == []


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def write_project(root, baselines):
    """Write the two projects of a checkout whose packages are carried."""
    (root / "baselines").mkdir(exist_ok=True)
    (root / "pyproject.toml").write_text("[project]\ndependencies = []\n[project.optional-dependencies]\ndev = []\n")
    dependencies = ["earthreason[geo]==0.2.0", *baselines]
    (root / "baselines" / "pyproject.toml").write_text(f"[project]\ndependencies = {dependencies}\n")


@pytest.fixture
def checkout(tmp_path, shelf, monkeypatch):
    """Make a checkout whose project needs pluggy and packages that the machine has."""
    root = tmp_path / "checkout"
    (root / "benchmarks" / "gpu").mkdir(parents=True)
    (root / "benchmarks" / "gpu" / "machine.txt").write_text("torch\n")
    write_project(root, ["pluggy", "torch"])
    (root / ".gitignore").write_text("packed/\nignored\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "x")
    write_wheel(shelf, "pluggy", metadata.version("pluggy"), padding=3000)
    monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(words, "_MINILM_PACKAGE", "no_such_package")
    return root


def test_pack_leaves_just_the_wheels_that_are_needed(checkout):
    out = checkout / "packed"
    (out / "wheels").mkdir(parents=True)
    write_wheel(out / "wheels", "pluggy", "0.1")
    write_wheel(out / "wheels", "attrs")
    pack(out, 1)
    assert [path.name for path in out.glob("wheels/*")] == [f"pluggy-{metadata.version('pluggy')}-py3-none-any.whl"]


def test_pack_prints_package_version_and_total(checkout, capsys):
    pack(checkout / "packed", 1)
    said = capsys.readouterr().out
    assert said.split()[:4] == ["pluggy", metadata.version("pluggy"), "0.00", "MiB"]
    assert "MiB of 1 MiB" in said


def test_pack_copies_the_golden_run(checkout):
    source = checkout.parent / "shared" / "goldens" / "segearth_r1"
    source.mkdir(parents=True)
    for name in ("tiny.json", "tiny.npz", "another.npz"):
        (source / name).write_text(name)
    pack(checkout / "packed", 1)
    found = sorted(path.name for path in (checkout / "packed/shared/goldens/segearth_r1").iterdir())
    assert found == ["tiny.json", "tiny.npz"]


def test_pack_says_that_there_is_no_golden_run(checkout, capsys):
    pack(checkout / "packed", 1)
    assert "no golden run: its test will be skipped" in capsys.readouterr().out


def test_pack_says_that_there_are_no_words_without_their_encoder(checkout, capsys):
    pack(checkout / "packed", 1)
    assert "no words, so tiny cannot be trained: " in capsys.readouterr().out
    assert not (checkout / "packed" / "words").exists()


def test_pack_carries_the_words_of_the_training_texts(checkout, capsys, monkeypatch):
    asked = {}

    def load(source, texts, width):
        asked.update(source=source, texts=set(texts), width=width)
        return Words(Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]")), "[UNK]", torch.ones(1, width))

    monkeypatch.setattr(module, "load_words", load)
    pack(checkout / "packed", 1)
    assert "words: 1 pieces" in capsys.readouterr().out
    assert asked["source"] == "minilm"
    assert {*load_phrases("lake").stories("train"), *load_templates("train").openers} < asked["texts"]
    assert not {*load_phrases("lake").clauses("test")} & asked["texts"]
    assert load_words(str(checkout / "packed" / "words"), [], asked["width"]).unknown == "[UNK]"


def test_pack_keeps_the_commit_for_the_results(checkout):
    write_project(checkout, ["pluggy"])
    pack(checkout / "packed", 1)
    commit = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True).stdout
    assert (checkout / "packed" / "commit.txt").read_text() == f"{commit[:12]}-dirty\n"


def test_a_folder_that_cannot_be_made_is_told_in_a_line(checkout):
    (checkout / "file").write_text("")
    with pytest.raises(KitError, match="file.*: Not a directory"):
        pack(checkout / "file" / "packed", 1)


def test_above_the_limit_the_three_largest_are_named(checkout):
    for name, kib in {"a": 40, "b": 30, "c": 20, "d": 10}.items():
        (checkout / name).write_bytes(bytes(1024 * kib))
    with pytest.raises(
        KitError, match=r"^0\.10 MiB .* more than 0.05 MiB; .*: a \(0.04 MiB\), b \(.*\), c \([^()]*\)$"
    ):
        check_size(checkout, checkout / "packed", 0.05)


def test_files_that_git_ignores_do_not_count(checkout):
    (checkout / "ignored").write_bytes(bytes(2**20))
    check_size(checkout, checkout / "packed", 0.5)


def test_the_packed_folder_counts_though_git_ignores_it(checkout):
    (checkout / "packed").mkdir()
    (checkout / "packed" / "large").write_bytes(bytes(2**20))
    with pytest.raises(KitError, match="packed/large"):
        check_size(checkout, checkout / "packed", 0.5)


def test_a_tracked_file_that_was_deleted_does_not_count(checkout):
    (checkout / "pyproject.toml").unlink()
    check_size(checkout, checkout / "packed", 0.5)


def test_outside_a_checkout_nothing_is_packed(tmp_path):
    with pytest.raises(KitError, match="not a git repository.*pack from a git checkout"):
        check_size(tmp_path, tmp_path, 64)
