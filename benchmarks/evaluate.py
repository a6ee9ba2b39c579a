"""Compare our scoring with common alternatives, on the same files in the same run.

    python benchmarks/evaluate.py            table of routes, and time by runs per mask
    python benchmarks/evaluate.py --fast     without the routes that decode pixels
    python benchmarks/evaluate.py --growth   time by number of pairs
    python benchmarks/evaluate.py --large    100,000 pairs through the command line, with peak memory

Every route reads both JSON files and computes gIoU and cIoU; all must agree. Times are the best of the rounds,
and ratios are medians of the ratios in each round.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
from pycocotools import mask as coco
from scipy.ndimage import gaussian_filter, zoom

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from earthreason.masks.grids import Grid, place_on_grid
from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import NATIVE, SEGEARTH_R1
from earthreason.metrics.references import read_references
from earthreason.predictions.reader import open_predictions

SIDE = 1024
CANVAS = Grid("letterbox", SIDE)
Route = Callable[[Path, Path], tuple[float, float]]


def make_masks(count: int, smoothness: float, shape: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Make masks like those of a network: logits on a quarter of the grid, upsampled bilinearly, above 0.

    `smoothness` is the size of the regions on the small grid; smaller regions give more runs.
    """
    rng = np.random.default_rng(seed)
    height, width = shape[0] // 4, shape[1] // 4
    masks = []
    for _ in range(count):
        logits = gaussian_filter(rng.standard_normal((height, width), np.float32), smoothness * rng.uniform(0.7, 1.4))
        fine = gaussian_filter(rng.standard_normal((height, width), np.float32), 1.0)
        logits = logits / logits.std() + 0.04 * fine / fine.std() - rng.uniform(0.8, 1.4)
        masks.append(zoom(logits, 4, order=1, grid_mode=True, mode="nearest") > 0)
    return masks


def write_files(folder: Path, pairs: int, smoothness: float, shape: tuple[int, int]) -> tuple[Path, Path]:
    """Write predictions and ground truth with up to 100 different masks each, repeated."""
    half = min(pairs, 100)
    truth = make_masks(half, smoothness, shape, seed=0)
    other = make_masks(half, smoothness, shape, seed=1)
    # A prediction overlaps most of its target, like that of a reasonable model.
    answers = [mask ^ (other[k] & truth[k - 1]) for k, mask in enumerate(truth)]
    rles = [[encode_mask(mask) for mask in masks] for masks in (answers, truth)]
    predictions, samples = (
        [{"sample_id": f"s{k}", "segmentation": masks[k % half]} for k in range(pairs)] for masks in rles
    )
    paths = folder / "predictions.json", folder / "truth.json"
    paths[0].write_text(json.dumps({"info": {}, "predictions": predictions}))
    paths[1].write_text(json.dumps({"samples": samples}))
    return paths


def read_both(predictions: Path, truth: Path) -> list[tuple[dict, dict]]:
    """Read and pair both files with the standard library; encode counts as bytes."""
    answers = {p["sample_id"]: p["segmentation"] for p in json.loads(predictions.read_text())["predictions"]}
    samples = json.loads(truth.read_text())["samples"]

    def as_bytes(rle: dict) -> dict:
        return {"size": rle["size"], "counts": rle["counts"].encode()}

    return [(as_bytes(answers[s["sample_id"]]), as_bytes(s["segmentation"])) for s in samples]


def summarise(shared: list[int], united: list[int]) -> tuple[float, float]:
    i, u = np.array(shared, float), np.array(united, float)
    return float(np.where(u == 0, 1, i / np.maximum(u, 1)).mean()), float(i.sum() / u.sum())


def ours(protocol: object, workers: int) -> Route:
    def run(predictions: Path, truth: Path) -> tuple[float, float]:
        (result,) = evaluate_protocols(
            open_predictions(predictions), read_references(truth), [protocol], resamples=0, workers=workers
        )
        return result["gIoU"], result["cIoU"]

    return run


def decode_numpy(canvas: bool) -> Route:
    def run(predictions: Path, truth: Path) -> tuple[float, float]:
        shared, united = [], []
        for p, t in read_both(predictions, truth):
            a, b = coco.decode(p), coco.decode(t)
            if canvas:
                a, b = place_on_grid(a, CANVAS), place_on_grid(b, CANVAS)
            shared.append(int((a & b).sum()))
            united.append(int((a | b).sum()))
        return summarise(shared, united)

    return run


def decode_torch_histogram(predictions: Path, truth: Path) -> tuple[float, float]:
    """Score as the reference evaluator does: letterbox, then three histograms, in float because histc needs it."""
    import torch

    shared, united = [], []
    for p, t in read_both(predictions, truth):
        a, b = (torch.from_numpy(place_on_grid(coco.decode(m), CANVAS).astype(np.float32)) for m in (p, t))
        agreed = a[a == b]
        i, n, m = (torch.histc(x, bins=2, min=0, max=1) for x in (agreed, a, b))
        shared.append(int(i[1]))
        united.append(int(n[1] + m[1] - i[1]))
    return summarise(shared, united)


def coco_pairs(predictions: Path, truth: Path) -> tuple[float, float]:
    """Score with the RLE functions of pycocotools, native size only: merge, then three areas."""
    shared, united = [], []
    for p, t in read_both(predictions, truth):
        i = int(coco.area(coco.merge([p, t], intersect=True)))
        shared.append(i)
        united.append(int(coco.area(p)) + int(coco.area(t)) - i)
    return summarise(shared, united)


ROUTES: dict[str, tuple[int, Route]] = {
    "pycocotools merge + area, native": (1, coco_pairs),
    "decode + numpy, native": (1, decode_numpy(False)),
    "decode + letterbox + numpy": (1, decode_numpy(True)),
    "decode + letterbox + torch histc": (1, decode_torch_histogram),
    "ours, native, 1 core": (1, ours(NATIVE, 1)),
    "ours, native, 2 cores": (2, ours(NATIVE, 2)),
    "ours, letterbox-1024, 1 core": (1, ours(SEGEARTH_R1, 1)),
    "ours, letterbox-1024, 2 cores": (2, ours(SEGEARTH_R1, 2)),
}
"""Number of cores and function of each route, by name."""
FAST = [name for name in ROUTES if not name.startswith("decode")]


@contextmanager
def cores(count: int) -> Iterator[None]:
    """Restrict the process, including its helper threads, to a number of cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def time_routes(
    files: tuple[Path, Path], repeats: int, names: Collection[str] = ROUTES
) -> dict[str, tuple[list[float], tuple[float, float]]]:
    """Return seconds of each round and scores of each route; each round runs all routes, so slow phases affect all."""
    timed: dict[str, tuple[list[float], tuple[float, float]]] = {}
    for round_number in range(repeats + 1):  # the first run compiles, imports and warms the page cache
        for name in names:
            allowed, route = ROUTES[name]
            with cores(allowed):
                began = time.perf_counter()
                scores = route(*files)
                seconds = time.perf_counter() - began
            if round_number:
                timed.setdefault(name, ([], scores))[0].append(seconds)
    return timed


def times_as_fast(seconds: list[float], base: list[float]) -> float:
    """Return the median over the rounds of `base` divided by `seconds`."""
    return median(b / own for b, own in zip(base, seconds, strict=True))


def compare_routes(
    pairs: int, smoothness: float, shape: tuple[int, int], repeats: int, names: Collection[str] = ROUTES
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), pairs, smoothness, shape)
        runs = np.mean([_runs(p["segmentation"]) for p in json.loads(files[0].read_text())["predictions"][:100]])
        print(f"\n{pairs} pairs of {shape[0]} x {shape[1]}, {runs:.0f} runs a mask, both files read by every route")
        print(f"{'route':34s} {'µs a pair':>10s} {'x pycocotools':>14s} {'x decode':>9s}   gIoU     cIoU")
        timed = time_routes(files, repeats, names)
        base = timed["pycocotools merge + area, native"][0]
        for name, (seconds, (giou, ciou)) in timed.items():
            decoded = timed.get("decode + letterbox + numpy" if "letterbox" in name else "decode + numpy, native")
            ratio = f"{times_as_fast(seconds, decoded[0]):9.1f}" if decoded else " " * 9
            print(
                f"{name:34s} {1e6 * min(seconds) / pairs:10.0f} {times_as_fast(seconds, base):14.2f} "
                f"{ratio}   {giou:.6f} {ciou:.6f}"
            )


def show_growth(repeats: int) -> None:
    names = ("pycocotools merge + area, native", "ours, native, 1 core", "ours, native, 2 cores")
    print(f"{'pairs':>8s}  " + "  ".join(f"{name:>34s}" for name in names) + "   (µs a pair)")
    for pairs in (100, 1_000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            timed = time_routes(write_files(Path(folder), pairs, 24, (SIDE, SIDE)), repeats, names)
        print(f"{pairs:8d}  " + "  ".join(f"{1e6 * min(timed[name][0]) / pairs:34.0f}" for name in names))


def _runs(rle: dict) -> int:
    flat = coco.decode({"size": rle["size"], "counts": rle["counts"].encode()}).ravel(order="F")
    return int(np.count_nonzero(np.diff(flat))) + 1


def large(pairs: int = 100_000, questions: int = 5) -> None:
    """Score a large file with the command line in its own process; print wall time and peak memory."""
    rles = [encode_mask(mask) for mask in make_masks(100, 24, (SIDE, SIDE), seed=1)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = pairs // questions
        with (folder / "truth.json").open("w") as file:
            samples = [
                {"sample_id": f"s{k}", "segmentation": rles[k % 100], "question_count": questions}
                for k in range(images)
            ]
            json.dump({"samples": samples}, file)
        with (folder / "predictions.jsonl").open("w") as file:
            for k in range(images):
                for q in range(questions):
                    mask = rles[(k + q) % 100]
                    file.write(json.dumps({"sample_id": f"s{k}", "question_index": q, "segmentation": mask}) + "\n")
        size = (folder / "predictions.jsonl").stat().st_size / 2**20
        began = time.perf_counter()
        predictions, truth = str(folder / "predictions.jsonl"), str(folder / "truth.json")
        judge = [sys.executable, "-m", "earthreason", "eval"]
        command = [*judge, predictions, "--ground-truth", truth, "--protocol", "grefcoco", "--workers", "2"]
        root = Path(__file__).resolve().parent.parent
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=root)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    mean = np.mean([_runs(rle) for rle in rles])
    print(
        f"{pairs} pairs ({images} images, {mean:.0f} runs a mask, {size:.0f} MiB of predictions), two grids, "
        f"intervals of 10,000 resamples: {seconds:.1f} s, peak {peak:.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--fast", action="store_true", help="leave out the routes that decode pixels")
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.large:
        large()
        return
    if arguments.growth:
        show_growth(arguments.repeats)
        return
    names = FAST if arguments.fast else list(ROUTES)
    for smoothness in (48, 24, 12, 4):
        compare_routes(arguments.pairs, smoothness, (SIDE, SIDE), arguments.repeats, names)
    compare_routes(arguments.pairs, 24, (720, 1280), arguments.repeats, names)


if __name__ == "__main__":
    main()
