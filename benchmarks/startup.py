"""Measure how long the commands take from a cold start, relative to `python -c pass`.

python benchmarks/startup.py                          this checkout
python benchmarks/startup.py --checkout ../main       also another one, in turns
python benchmarks/startup.py --imports                also the modules that take longest, for the evaluation

The bytecode and the sample are made before the first measured run. Times are medians of wall time in processes of
their own.
"""

from __future__ import annotations

import argparse
import os
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


def run(arguments: list[str], environment: dict[str, str]) -> tuple[float, str]:
    """Run Python; return the seconds it took and its standard error."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=environment["PYTHONPATH"],  # the current folder is searched first
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed: {done.stderr}")
    return seconds, done.stderr


def measure(checkouts: list[Path], runs: int, cache: Path) -> tuple[dict[tuple[str, Path], float], dict[str, str]]:
    """Return the median seconds by command and checkout, and the environment of the first checkout."""
    environments = {
        checkout: {**os.environ, "PYTHONPATH": str(checkout), "HF_DATASETS_CACHE": str(cache / str(number))}
        for number, checkout in enumerate(checkouts)
    }
    seconds: dict[tuple[str, Path], list[float]] = {}
    for environment in environments.values():
        run(["-c", PREPARE, str(cache / "preds.json")], environment)
    for number in range(-1, runs):  # the first round is not measured
        for name, arguments in COMMANDS.items():
            filled = [str(cache / "preds.json") if word == "PREDS" else word for word in arguments]
            for checkout, environment in environments.items():
                taken, _ = run(filled, environment)
                if number >= 0:
                    seconds.setdefault((name, checkout), []).append(taken)
    return {key: median(values) for key, values in seconds.items()}, environments[checkouts[0]]


def slowest_imports(environment: dict[str, str], cache: Path, count: int = 25) -> list[str]:
    """List the modules of the evaluation whose import takes longest, with what they import: milliseconds and name."""
    words = ["-X", "importtime", "-m", "earthreason", "eval", str(cache / "preds.json"), "--config", "sample"]
    _, output = run(words, environment)
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
        medians, environment = measure(checkouts, options.runs, Path(folder))
        print(f"{'':30}" + "".join(f"{checkout.name:>16}" for checkout in checkouts) + "   (seconds, ratio)")
        for name in COMMANDS:
            cells = (medians[name, checkout] for checkout in checkouts)
            bare = (medians["python -c pass", checkout] for checkout in checkouts)
            print(f"{name:30}" + "".join(f"{s:8.3f} {s / b:5.1f}x " for s, b in zip(cells, bare, strict=True)))
        if options.imports:
            print("\n".join(slowest_imports(environment, Path(folder))))


if __name__ == "__main__":
    main()
