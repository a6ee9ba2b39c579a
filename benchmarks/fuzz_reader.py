"""Damage valid predictions and ground truth of every form and check that each file gives a score or one clear error.

    python benchmarks/fuzz_reader.py --count 100000 --seed 0 --workers 1

Every case follows from the seed and its number, so a failure is repeated with `--first NUMBER --count 1`.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import logging
import multiprocessing
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image, TiffImagePlugin

from earthreason.errors import EarthReasonError
from earthreason.masks.rle import encode_mask
from earthreason.metrics.evaluate import evaluate_protocols
from earthreason.metrics.protocols import get_protocol
from earthreason.metrics.references import Reference, References, read_references
from earthreason.predictions import open_predictions

LIMIT_SECONDS = 10.0
SHAPE = (12, 16)
WORDS = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"NaN",
    b"-0",
    b"1e999",
    b"1.0",
    b"9" * 30,
    b"\xc2\xa0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\\ud800",
    b"\0",
    b"\n",
    b'"size":',
    b'"counts":',
    b"[]",
    b"{}",
    b"-1",
    b"'",
]
KEYS = [
    b"sample_id",
    b"image_id",
    b"segmentation",
    b"size",
    b"counts",
    b"info",
    b"predictions",
    b"question_index",
    b"grid",
    b"score",
    b"answer",
    b"letterbox-1024",
]


TRUTH = "truth, "
"""Begins the names of the forms of ground truth."""


class _TooSlowError(Exception):
    pass


def _stop(*_: object) -> NoReturn:
    raise _TooSlowError


def make_truth() -> References:
    """Make two samples, one of them empty."""
    mask = np.zeros(SHAPE, bool)
    mask[3:9, 4:12] = True
    return References([Reference("a", encode_mask(mask), 2), Reference("7", encode_mask(mask & False))], "truth")


def _records() -> dict[str, list[dict[str, Any]]]:
    mask = np.zeros(SHAPE, bool)
    mask[2:8, 5:13] = True
    rle, empty = encode_mask(mask), encode_mask(mask & False)
    runs = {"size": list(SHAPE), "counts": [62, 6, 6, 6, 112]}
    sea = {"image_id": 7, "segmentation": None}
    return {
        "rle": [{"sample_id": "a", "segmentation": rle, "question_index": 1, "score": 0.5, "answer": "h\u00e9"}, sea],
        "runs": [{"sample_id": "a", "segmentation": runs}, sea],
        "polygons": [{"image_id": "a", "segmentation": [[5, 2, 13, 2, 13.5, 8, 5, 8], [1, 1, 3, 1, 3, 3]]}, sea],
        "list": [{"sample_id": "a", "segmentation": [rle, empty, runs]}, {"image_id": 7, "segmentation": []}],
        "instances": [{"image_id": "a", "segmentation": rle, "category_id": 1, "bbox": [1, 2, 3, 4]}] * 2 + [sea],
    }


def _pictures() -> dict[str, bytes]:
    grey = np.zeros(SHAPE, np.uint8)
    grey[2:8, 5:13] = 255
    image = Image.fromarray(grey)
    palette = image.point(lambda value: value // 255).convert("P")
    nodata = TiffImagePlugin.ImageFileDirectory_v2()
    nodata[42113] = "7"
    saved: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "a.png": (image, "PNG", {}),
        "a__1.png": (palette, "PNG", {"bits": 1, "transparency": 0}),
        "7.png": (Image.merge("RGBA", [image] * 4), "PNG", {}),
        "7.tif": (Image.fromarray(grey.astype(np.uint16)), "TIFF", {"compression": "tiff_lzw"}),
        "a.tif": (Image.fromarray((grey / 255).astype(np.float32)), "TIFF", {"tiffinfo": nodata}),
    }
    files = {}
    for name, (picture, form, options) in saved.items():
        buffer = io.BytesIO()
        picture.save(buffer, form, **options)
        files[name] = buffer.getvalue()
    for name, array in {"a.npy": grey, "7.npy": np.asfortranarray(grey > 0)}.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        files[name] = buffer.getvalue()
    return files


def make_forms() -> dict[str, bytes | dict[str, bytes]]:
    """Make one valid example of every form: the bytes of a file, or the files of a folder or zip."""
    forms: dict[str, bytes | dict[str, bytes]] = {}
    for name, records in _records().items():
        info = {"model": "m", "grid": "native"}
        forms[f"{name}.json"] = json.dumps({"info": info, "predictions": records}).encode()
        lines = [json.dumps(record) for record in [{"info": info}, *records]]
        forms[f"{name}.jsonl"] = "\n".join(lines).encode()
        forms[f"{name}.json.gz"] = gzip.compress(json.dumps(records).encode(), mtime=0)
    for name, content in _pictures().items():
        forms[f"zip of {name}"] = {name: content}
        forms[f"folder of {name}"] = {name: content}
    forms["zip of two"] = {name: _pictures()[name] for name in ("a.png", "7.npy")}
    return forms | {f"{TRUTH}{name}": content for name, content in _make_truth_forms(forms).items()}


def _make_truth_forms(forms: dict[str, bytes | dict[str, bytes]]) -> dict[str, bytes | dict[str, bytes]]:
    corner = np.zeros(SHAPE, bool)
    corner[-2:, -2:] = True  # outside every target
    sides = {"height": SHAPE[0], "width": SHAPE[1], "question_count": 2, "category": "field", "ground_resolution": 0.5}
    made: dict[str, bytes | dict[str, bytes]] = {}
    for name, records in _records().items():
        if name == "instances":
            continue
        samples = [
            {key: value for key, value in record.items() if key in ("sample_id", "image_id", "segmentation")} | sides
            for record in records
        ]
        samples[0]["ignore"] = encode_mask(corner)
        made[f"{name}.json"] = json.dumps({"samples": samples}).encode()
        made[f"{name}.jsonl"] = "\n".join(map(json.dumps, samples)).encode()
        made[f"{name}.json.gz"] = gzip.compress(json.dumps(samples).encode(), mtime=0)
    plain = {"sample_id": "a", "segmentation": _records()["rle"][0]["segmentation"]}
    made["plain.json"] = json.dumps({"samples": [plain]}).encode()
    return made | {name: forms[name] for name in ("zip of a.png", "folder of a.npy", "zip of two")}


def damage(content: bytes, other: bytes, generator: random.Random) -> bytes:
    """Flip, delete, repeat, splice, cut, and replace words and keys, up to three times."""
    changed = bytearray(content)
    for _ in range(generator.choice([1, 1, 1, 2, 3])):
        at, length = generator.randrange(len(changed) + 1), generator.randint(1, 24)
        match generator.randrange(8):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << generator.randrange(8)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[at : at + length]
            case 3:
                start = generator.randrange(len(other) + 1)
                changed[at : at + length] = other[start : start + length]
            case 4 if generator.random() < 0.3:
                del changed[at:]
            case 5:
                changed[at:at] = generator.choice(WORDS)
            case 6:
                changed = changed.replace(generator.choice(KEYS), generator.choice(KEYS), 1)
            case _ if changed:
                changed[at % len(changed)] = generator.randrange(256)
    return bytes(changed)


def _zip(files: dict[str, bytes], generator: random.Random) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", generator.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def write_case(folder: Path, form: str, forms: dict[str, Any], generator: random.Random) -> Path:
    """Write a damaged example of a form below `folder`; return what `open_predictions` is to read."""
    content, other = forms[form], forms[generator.choice(list(forms))]
    form = form.removeprefix(TRUTH)
    other = other if isinstance(other, bytes) else next(iter(other.values()))
    if isinstance(content, bytes):
        path = folder / form
        if form.endswith(".gz") and generator.random() < 0.5:
            path.write_bytes(gzip.compress(damage(gzip.decompress(content), other, generator), 1))
        else:
            path.write_bytes(damage(content, other, generator))
        return path
    inside = generator.random() < 0.7 or form.startswith("folder")
    files = {name: damage(data, other, generator) if inside else data for name, data in content.items()}
    if form.startswith("folder"):
        path = folder / "masks"
        path.mkdir(exist_ok=True)
        for name in path.iterdir():
            name.unlink()
        for name, data in files.items():
            (path / name).write_bytes(data)
        return path
    packed = _zip(files, generator)
    path = folder / "masks.zip"
    path.write_bytes(packed if inside else damage(packed, other, generator))
    return path


def run_case(number: int, seed: int, folder: Path, forms: dict[str, Any], truth: References) -> str:
    """Read and score one damaged file; return "scored" or "refused".

    Raises:
        Exception: anything but an `EarthReasonError` is a failure of the reader.
    """
    generator = random.Random(f"{seed} {number}")
    form = generator.choice(list(forms))
    path = write_case(folder, form, forms, generator)
    instances = generator.choice(["error", "union"])
    native = get_protocol("native")
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    try:
        if form.startswith(TRUTH):
            evaluate_protocols({"a": None}, read_references(path), [native], missing="empty", resamples=0)
        else:
            opened = open_predictions(path, instances)  # type: ignore[arg-type]
            evaluate_protocols(opened, truth, [native], missing="empty", resamples=0)
    except EarthReasonError as error:
        if not str(error).encode().strip():  # a message that cannot be printed is a traceback of its own
            raise ValueError("an error without a message") from error
        return "refused"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "scored"


def _work(numbers: range, seed: int, folder: Path, report: Callable[[tuple[str, int]], None]) -> None:
    signal.signal(signal.SIGALRM, _stop)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    forms, truth = make_forms(), make_truth()
    counts: Counter[str] = Counter()
    for number in numbers:
        (folder / "number").write_text(str(number))  # survives a crash of a library
        try:
            counts[run_case(number, seed, folder, forms, truth)] += 1
        except Exception:
            counts["failed"] += 1
            print(f"case {number} of seed {seed}:\n{traceback.format_exc(limit=-4)}", flush=True)
        if sum(counts.values()) % 1000 == 0:
            report((str(folder), sum(counts.values())))
    (folder / "counts.json").write_text(json.dumps(counts))


def main() -> int:
    """Run the cases; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="number of damaged files")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="number of processes")
    arguments = parser.parse_args()
    began = time.monotonic()
    totals: Counter[str] = Counter()
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as scratch:
        last = arguments.first + arguments.count
        workers = [
            multiprocessing.Process(
                target=_work,
                args=(
                    range(arguments.first + n, last, arguments.workers),
                    arguments.seed,
                    Path(scratch) / str(n),
                    _progress,
                ),
            )
            for n in range(arguments.workers)
        ]
        for worker in workers:
            worker.start()
        for n, worker in enumerate(workers):
            worker.join()
            folder = Path(scratch) / str(n)
            if worker.exitcode:
                print(f"crashed with {worker.exitcode} at case {(folder / 'number').read_text()}")
                totals["failed"] += 1
            else:
                totals.update(json.loads((folder / "counts.json").read_text()))
    seconds = time.monotonic() - began
    done = sum(totals.values())
    print(f"{dict(totals)}: {done} files in {seconds:.0f} s, {done / seconds:.0f} a second")
    return int(totals["failed"] > 0)


def _progress(state: tuple[str, int]) -> None:
    if state[1] % 20_000 == 0:
        print(f"{Path(state[0]).name}: {state[1]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
