"""Measure speed, correctness and learning on a GPU: `python -m benchmarks.gpu`.

`pack` gathers what a machine without network access lacks, `run` measures there, and `collect` writes the page.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.gpu.context import PACKED, ROOT
from benchmarks.gpu.errors import KitError
from benchmarks.gpu.plan import step_names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="fetch the packages that the GPU machine lacks")
    pack.add_argument("--out", type=Path, default=PACKED, help="folder to fill")
    pack.add_argument(
        "--limit",
        type=float,
        default=64.0,
        metavar="MIB",
        help="limit for the total size of what is copied to the GPU machine, MiB",
    )
    run = commands.add_parser("run", help="run the steps on this machine")
    run.add_argument("--out", type=Path, required=True, help="folder for results.json and the other results")
    run.add_argument("--minutes", type=float, default=9.0, help="time limit of the run (default: 9)")
    run.add_argument("--rehearse", action="store_true", help="run every step at toy size, on the CPU")
    run.add_argument("--device", choices=["cuda", "cpu"], help="device (default: cuda, or cpu in a rehearsal)")
    run.add_argument("--only", default="", metavar="STEP,STEP", help=f"steps to run, from {', '.join(step_names())}")
    run.add_argument(
        "--scenes", type=Path, metavar="DIR", help="folder to keep the scenes in, and to take those drawn earlier from"
    )
    collect = commands.add_parser("collect", help="write docs/gpu.md from the results")
    collect.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folder written by `run`; steps in later folders replace those in earlier ones",
    )
    collect.add_argument("--notes", type=Path, metavar="FILE", help="Markdown file to insert after the goals")
    collect.add_argument("--page", type=Path, default=ROOT / "docs" / "gpu.md", help="Markdown file to write")
    return parser


def main() -> int:
    """Run a command and return the exit code."""
    a = _parser().parse_args()
    try:
        if a.command == "pack":
            from benchmarks.gpu.pack import pack

            pack(a.out, a.limit)
            return 0
        if a.command == "collect":
            from benchmarks.gpu.collect import collect

            collect(a.folders, a.page, a.page.parent / "images" / a.page.stem, a.notes)
            return 0
        from benchmarks.gpu.run import run

        if not 0 < a.minutes < float("inf"):
            raise KitError(f"--minutes {a.minutes}: give a number above 0")
        return run(a.out, a.minutes, a.rehearse, [name for name in a.only.split(",") if name], a.device, a.scenes)
    except KitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
