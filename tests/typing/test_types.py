"""A user's script and the Python of every page pass mypy, and mistakes in a script are found."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import earthreason

pytest.importorskip("mypy")
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Pages leave out the annotations of their own functions, because most readers write none.
CONFIG = """\
[mypy]
strict = true
follow_imports = silent
[mypy-pages.*]
allow_untyped_defs = true
allow_untyped_calls = true
"""


def write_pages(folder):
    """Write the Python of each page to a module, and return the modules."""
    (folder / "pages").mkdir()
    (folder / "pages" / "__init__.py").touch()
    modules = []
    for page in PAGES:
        blocks = _PYTHON.findall(page.read_text())
        if blocks:
            modules.append(folder / "pages" / f"{'_'.join(page.relative_to(ROOT).with_suffix('').parts)}.py")
            # mypy does not see the name that an editable installation gives to the folder.
            modules[-1].write_text("".join(blocks).replace("earthreason_baselines", "baselines"))
    return modules


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """Errors by file and line that a user sees, who sees none inside the package."""
    folder = tmp_path_factory.mktemp("mypy")
    (folder / "mypy.ini").write_text(CONFIG)
    cache = ROOT / ".mypy_cache" / "user"  # the first check reads torch and pandas, the next ones take seconds
    scripts = [*(HERE / name for name in ("user_script.py", "misuse.py")), *write_pages(folder)]
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(cache), *map(str, scripts)]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = re.findall(r"(\w+\.py):(\d+): error: (.*)", done.stdout)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"Found {len(found)} errors" in done.stdout, done.stdout
    return {(name, int(line)): text for name, line, text in found}


@pytest.mark.slow
def test_the_script_of_a_user_is_strictly_typed(errors):
    assert [place for place in errors if place[0] == "user_script.py"] == []


@pytest.mark.slow
def test_the_python_of_every_page_has_the_right_types(errors, tmp_path):
    modules = {module.name for module in write_pages(tmp_path)}
    assert {"README.py", "docs_tutorial.py", "docs_howto_own_model.py"} <= modules
    assert {place: text for place, text in errors.items() if place[0] in modules} == {}


@pytest.mark.slow
def test_misspelt_names_and_wrong_values_are_errors(errors):
    lines = (HERE / "misuse.py").read_text().splitlines()
    expected = {number: line.split("  # ")[1] for number, line in enumerate(lines, 1) if "  # " in line}
    found = {line: text for (name, line), text in errors.items() if name == "misuse.py"}
    assert sorted(found) == sorted(expected)
    for number, words in expected.items():
        assert words in found[number]


def test_the_package_says_that_it_is_typed():
    assert (Path(earthreason.__file__).parent / "py.typed").is_file()
