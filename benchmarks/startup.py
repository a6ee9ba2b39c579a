"""Measure how long the commands take from a cold start, relative to `python -c pass`.

python benchmarks/startup.py                          this checkout
python benchmarks/startup.py --checkout ../main       also another one, in turns
python benchmarks/startup.py --imports                also the modules that take longest, for the evaluation

The bytecode and the sample are made before the first measured run. Times are medians of wall time in processes of
their own; ratios are those of processor time, which other programs on the machine disturb less.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
PREPARE = """
import sys
from earthreason.metrics.truth import load_references
from earthreason.predictions import write_predictions
from earthreason.types import Prediction

references = load_references("sample", "test").values()
predictions = [Prediction(r.sample_id, r.segmentation) for r in references]
write_predictions(sys.argv[1], predictions, {"config": "sample", "split": "test"})
"""
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import typer, rich, pydantic": ["-c", "import typer, rich.console, rich.table, pydantic"],
    "earthreason --help": ["-m", "earthreason", "--help"],
    "earthreason eval --help": ["-m", "earthreason", "eval", "--help"],
    "earthreason protocols": ["-m", "earthreason", "protocols"],
    "earthreason eval, sample": ["-m", "earthreason", "eval", "PREDS", "--config", "sample"],
    "  --json": ["-m", "earthreason", "eval", "PREDS", "--config", "sample", "--json", "-"],
    "  --resamples 0": ["-m", "earthreason", "eval", "PREDS", "--config", "sample", "--resamples", "0"],
    "earthreason compare, sample": ["-m", "earthreason", "compare", "PREDS", "PREDS", "--config", "sample"],
}


def cpu_seconds() -> float:
    """Return the processor time of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(arguments: list[str], environment: dict[str, str]) -> tuple[float, float, str]:
    """Run Python; return the seconds of wall time and of processor time that it took, and its standard error."""
    began, used = time.perf_counter(), cpu_seconds()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=environment["PYTHONPATH"],  # the current folder is searched first
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    wall, cpu = time.perf_counter() - began, cpu_seconds() - used
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed: {done.stderr}")
    return wall, cpu, done.stderr


Times = dict[str, tuple[float, float]]
"""Medians of wall and processor time in seconds, by command."""


def environment_of(checkout: Path, cache: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(checkout), "HF_DATASETS_CACHE": str(cache / checkout.name)}


def measure(checkouts: list[Path], runs: int, cache: Path) -> dict[Path, Times]:
    """Run every command in every checkout in turns."""
    taken: dict[Path, dict[str, list[tuple[float, float]]]] = {}
    for checkout in checkouts:
        run(["-c", PREPARE, str(cache / "preds.json")], environment_of(checkout, cache))
    for number in range(-1, runs):  # the first round is not measured
        for name, arguments in COMMANDS.items():
            filled = [str(cache / "preds.json") if word == "PREDS" else word for word in arguments]
            for checkout in checkouts:
                wall, cpu, _ = run(filled, environment_of(checkout, cache))
                if number >= 0:
                    taken.setdefault(checkout, {}).setdefault(name, []).append((wall, cpu))
    return {
        checkout: {name: (median(w for w, _ in rows), median(c for _, c in rows)) for name, rows in by_name.items()}
        for checkout, by_name in taken.items()
    }


def slowest_imports(checkout: Path, cache: Path, count: int = 25) -> list[str]:
    """List the modules of the evaluation whose import takes longest, with what they import: milliseconds and name."""
    words = ["-X", "importtime", "-m", "earthreason", "eval", str(cache / "preds.json"), "--config", "sample"]
    output = run(words, environment_of(checkout, cache))[-1]
    lines = [line.removeprefix("import time:").split("|") for line in output.splitlines() if "|" in line][1:]
    times = sorted(((int(total) / 1000, name.rstrip()) for _, total, name in lines), reverse=True)
    return [f"{milliseconds:7.1f} ms {name}" for milliseconds, name in times[:count]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--checkout", type=Path, action="append", default=[])
    parser.add_argument("--imports", action="store_true")
    options = parser.parse_args()
    checkouts = [ROOT, *(path.resolve() for path in options.checkout)]
    with tempfile.TemporaryDirectory() as folder:
        times = measure(checkouts, options.runs, Path(folder))
        print(f"{'wall s, CPU s, CPU ratio':30}" + "".join(f"{checkout.name:>24}" for checkout in checkouts))
        for name in COMMANDS:
            cells = ((*times[checkout][name], times[checkout]["python -c pass"][1]) for checkout in checkouts)
            print(f"{name:30}" + "".join(f"{wall:8.2f} {cpu:7.2f} {cpu / bare:6.1f}x" for wall, cpu, bare in cells))
        if options.imports:
            print("\n".join(slowest_imports(ROOT, Path(folder))))


if __name__ == "__main__":
    main()
