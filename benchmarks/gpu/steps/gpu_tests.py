"""Run the tests with the marker `gpu`. In a rehearsal they run on the CPU, except those that need a card."""

from __future__ import annotations

import os
import subprocess
import sys

from benchmarks.gpu.context import ROOT, Context, read_context, rows_of


def main(context: Context) -> None:
    names = (str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_gpu*.py"))
    files = sorted(
        names, key=lambda name: ("compile" in name, name)
    )  # slow tests last, so that the time limit does not cut off the others
    plugins = ["-p", "no:cacheprovider", "-p", "benchmarks.gpu.pytest_rows"]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *plugins, *files]
    environment = {**os.environ, "EARTHREASON_TEST_ROWS": str(rows_of(context.work, context.name))}
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


if __name__ == "__main__":
    main(read_context())
