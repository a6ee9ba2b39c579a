"""Measure scoring of sets as large as GeoSeg-1M: seconds, CPU seconds and peak memory by number of rows.

    python benchmarks/million.py                        110,000 and 1,100,000 rows
    python benchmarks/million.py --rows 11000 110000    other numbers
    python benchmarks/million.py --resamples 0          without intervals

The rows are simulated: masks of one to four regions on 512 px images, one row in 25 without a target. Ground truth is
a parquet file with one mask a row, predictions are a JSON Lines file in the same order. Each number of rows is scored
in a process of its own under one protocol and at native resolution, with breakdowns and intervals.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from earthreason.masks.rle import encode_mask

ROWS = (110_000, 1_100_000)
SIDE, POOL, BLOCK = 512, 200, 10_000
CATEGORIES = [f"category {number}" for number in range(60)]


def make_pool(seed: int = 0) -> list[dict[str, Any]]:
    """Make masks of ellipses: sizes are log-uniform, so that most regions are small."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pool = []
    for _ in range(POOL):
        mask = np.zeros((SIDE, SIDE), bool)
        for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
            half = np.exp(rng.uniform(np.log(4), np.log(90), 2))
            centre = rng.uniform(0, SIDE, 2)
            mask |= ((rows - centre[0]) / half[0]) ** 2 + ((columns - centre[1]) / half[1]) ** 2 < 1
        pool.append(dict(encode_mask(mask)))
    return pool


def write_set(folder: Path, count: int) -> None:
    """Write `truth.parquet` and `preds.jsonl` of `count` rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pool, nothing = make_pool(), dict(encode_mask(np.zeros((SIDE, SIDE), bool)))
    rng = np.random.default_rng(1)
    mask = pa.struct([("size", pa.list_(pa.int64())), ("counts", pa.string())])
    texts = pa.list_(pa.string())
    schema = pa.schema([("sample_id", pa.string()), ("mask", mask), ("questions", texts), ("category", pa.string())])
    with pq.ParquetWriter(folder / "truth.parquet", schema) as writer, (folder / "preds.jsonl").open("w") as file:
        file.write(json.dumps({"info": {"model": "simulated"}}) + "\n")
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            drawn = rng.integers(POOL, size=(size, 2))
            empty, right, silent = rng.random((3, size)) < np.array([[0.04], [0.5], [0.05]])
            names = [f"test-{start + number:07d}" for number in range(size)]
            truth = [nothing if empty[n] else pool[drawn[n, 0]] for n in range(size)]
            writer.write_table(
                pa.table(
                    {
                        "sample_id": names,
                        "mask": truth,
                        "questions": [["Where?"]] * size,
                        "category": [CATEGORIES[n] for n in drawn[:, 0] % len(CATEGORIES)],
                    },
                    schema=schema,
                )
            )
            for n, name in enumerate(names):
                given = None if silent[n] else truth[n] if right[n] else pool[drawn[n, 1]]
                file.write(json.dumps({"sample_id": name, "question_index": 0, "segmentation": given}) + "\n")


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read the rows of the ground truth in batches."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        for batch in file.iter_batches(1000):
            yield from batch.to_pylist()


def measure(folder: Path, resamples: int) -> dict[str, float]:
    """Score the set in this process; return times in seconds, peak memory before and after in MB, and gIoU."""
    import pandas  # noqa: F401 - what a process of this kind has loaded before it reads the first row
    import pyarrow.parquet  # noqa: F401

    from earthreason.metrics.streaming import evaluate_stream
    from earthreason.metrics.truth import stream_references
    from earthreason.predictions.reader import open_predictions

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, busy = time.perf_counter(), time.process_time()
    truth = stream_references(read_rows(folder / "truth.parquet"), "truth")
    result = evaluate_stream(
        open_predictions(folder / "preds.jsonl"), truth, ["segearth-r1", "native"], resamples=resamples
    )[0]
    groups = len(result.to_dict()["breakdowns"]["category"])
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "rows": len(result.counts),
        "seconds": seconds,
        "busy": busy,
        "before": before,
        "peak": peak,
        "gIoU": result["gIoU"] or 0.0,
        "groups": groups,
    }


def main() -> None:
    """Write each set, score it in a process of its own, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.resamples)))
        return
    print("     rows   files, MB   seconds   CPU seconds   start, MB   peak, MB   growth, bytes/row   gIoU")
    for count in options.rows:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_set(folder, count)
            files = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
            command = [sys.executable, __file__, "--measure", name, "--resamples", str(options.resamples)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            found = json.loads(done.stdout)
            above = (found["peak"] - found["before"]) * 1024**2 / count
            print(
                f"{count:9,d} {files:11,.0f} {found['seconds']:9.1f} {found['busy']:13.1f} {found['before']:11,.0f}"
                f" {found['peak']:10,.0f} {above:19,.0f} {100 * found['gIoU']:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
