"""`python -m benchmarks.gpu`: prove speed, correctness and learning on a GPU in one command.

pack gathers what a machine without network lacks; run measures there; collect writes the page here.
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
    pack = commands.add_parser("pack", help="fetch the packages that the GPU's machine lacks, and check the size")
    pack.add_argument("--out", type=Path, default=PACKED, help="folder to fill")
    pack.add_argument("--limit", type=float, default=64.0, metavar="MIB", help="of everything that is carried there")
    run = commands.add_parser("run", help="do all steps on this machine")
    run.add_argument("--out", type=Path, required=True, help="folder of results.json and what else comes back")
    run.add_argument("--minutes", type=float, default=9.0, help="for everything (default: 9)")
    run.add_argument("--rehearse", action="store_true", help="every step at toy size, on the CPU")
    run.add_argument("--device", choices=["cuda", "cpu"], help="another device than cuda, or cpu in a rehearsal")
    run.add_argument("--only", default="", metavar="STEP,STEP", help=f"of {', '.join(step_names())}")
    run.add_argument("--scenes", type=Path, metavar="DIR", help="sets drawn before: large, evaluation, training")
    collect = commands.add_parser("collect", help="write docs/gpu.md from what came back")
    collect.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="of `run`; later ones replace steps")
    collect.add_argument("--notes", type=Path, metavar="FILE", help="Markdown to put behind the goals")
    collect.add_argument("--page", type=Path, default=ROOT / "docs" / "gpu.md")
    return parser


def main() -> int:
    """Run a command; the exit code."""
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
