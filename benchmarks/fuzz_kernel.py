"""Compare the C kernel with decoded pixels on random, damaged and valid texts, under a compiler's sanitizers.

    python benchmarks/fuzz_kernel.py --count 1000000 --seed 0
    python benchmarks/fuzz_kernel.py --count 500000 --sanitizer thread

It stops at the first difference, and at the first finding of the sanitizer. Batches have one to four threads.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SANITIZERS = {"address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"], "thread": ["-fsanitize=thread"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="Number of pairs.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sanitizer", choices=SANITIZERS, default="address")
    a = parser.parse_args()
    source = Path(__file__).with_suffix(".c")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "fuzz"
        build = ["gcc", "-std=c11", "-g", "-O2", "-Wall", "-Wextra", "-pthread", *SANITIZERS[a.sanitizer]]
        subprocess.run([*build, str(source), "-o", str(program)], check=True)
        sys.exit(subprocess.run([str(program), str(a.count), str(a.seed)]).returncode)


if __name__ == "__main__":
    main()
