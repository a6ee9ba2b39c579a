import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import earthreason
from earthreason.installing import FOLDERS

ROOT = Path(__file__).resolve().parent.parent


def run(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_importing_loads_none_of_the_large_libraries():
    code = """
import sys
import earthreason
print([name for name in ("torch", "transformers", "datasets", "pandas", "numba", "openai") if name in sys.modules])
"""
    assert run(code).strip() == "[]"


def test_public_names_are_listed_and_load():
    for name in earthreason.__all__:
        assert getattr(earthreason, name)
        assert name in dir(earthreason)


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert not hasattr(earthreason, "no_such_thing")


def test_the_core_imports_nothing_from_the_applications():
    for path in (ROOT / "earthreason").rglob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                assert words[1].split(".")[0] not in ("baselines", "leaderboard", "annotation_tools"), path


@pytest.mark.parametrize("name", FOLDERS)
def test_every_file_of_a_package_goes_into_its_wheel(name):
    if not (ROOT / ".git").exists():
        pytest.skip("the files of the packages are asked of Git, and this is not a Git checkout")
    settings = tomllib.loads((ROOT / FOLDERS[name] / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = ["*.py", *settings["package-data"]["*"]]
    left_out = ["*.[ch]"] if name == "earthreason" else ["pyproject.toml", "LICENSE", "README.md"]
    folder = "earthreason" if name == "earthreason" else FOLDERS[name]
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [Path(path).name for path in listed.stdout.split("\0") if path]
    assert len(files) > 50
    assert [file for file in files if not any(fnmatch(file, pattern) for pattern in [*patterns, *left_out])] == []


@pytest.mark.parametrize("folder", ["baselines", "leaderboard", "annotation_tools"])
def test_a_distribution_installs_no_name_that_others_have_on_the_index(folder):
    code = """
import runpy, setuptools
setuptools.setup = lambda **settings: print(*settings["packages"])
runpy.run_path("setup.py")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / folder, capture_output=True, text=True, check=True)
    assert {name.split(".")[0] for name in done.stdout.split()} == {f"earthreason_{folder.removesuffix('_tools')}"}
