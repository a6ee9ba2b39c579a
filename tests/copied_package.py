"""A copy of the core with one more file in it, for the tests that adding something takes one file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


class CopiedPackage:
    """The core in a folder of its own.

    Attributes:
        package: the copied folder `earthreason`.
    """

    def __init__(self, folder: Path) -> None:
        """Copy the core into `folder`, which is also where commands run."""
        self._folder = folder
        self.package = folder / "code" / "earthreason"
        shutil.copytree(ROOT / "earthreason", self.package, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, *arguments: str) -> str:
        """Run Python with arguments, the copy being what it imports; return its standard output."""
        environment = {**os.environ, "PYTHONPATH": str(self.package.parent), "HF_HOME": str(self._folder / "cache")}
        done = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=environment, cwd=self._folder, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
