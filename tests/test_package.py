import subprocess
import sys
from pathlib import Path

import earthreason

ROOT = Path(__file__).resolve().parent.parent


def run(code):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_importing_is_quick_and_loads_none_of_the_large_libraries():
    code = """
import sys, time
began = time.perf_counter()
import earthreason
seconds = time.perf_counter() - began
print(seconds, [m for m in ("torch", "transformers", "datasets", "pandas", "numba", "openai") if m in sys.modules])
"""
    seconds, loaded = run(code).split(" ", 1)
    assert float(seconds) < 0.3
    assert loaded.strip() == "[]"


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
