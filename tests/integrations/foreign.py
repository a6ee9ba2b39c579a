"""Programs that run in the environment of another library, where it does not fit this one."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "howto" / "libraries.md"


def snippet_of(library):
    """Return the code of docs/howto/libraries.md that imports a library first."""
    snippets = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = (snippet for snippet in snippets if re.match(rf"(from|import) [a-z.]*{library}", snippet))
    return code


def python_with(module, variable):
    """Return a Python that imports `module`: this one, or that of the environment variable; skip without."""
    if named := os.environ.get(variable):
        return named
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed, and {variable} names no Python of an environment with it")
    return sys.executable


def run_program(python, code, folder, home, *arguments, **variables):
    """Run code with the files of `integrations/FOLDER` beside it, and return the last line it prints, as JSON."""
    paths = os.pathsep.join([str(ROOT / "integrations" / folder), str(ROOT)])
    offline = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    environment = os.environ | offline | {"HOME": str(home)} | variables
    command = [python, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])
