"""Measure the review page at the size of the release, the speed of mask codecs, and that of agreement.

python benchmarks/annotation.py            # 5,000 images, 30,000 questions
python benchmarks/annotation.py --codecs
python benchmarks/annotation.py --agreement [--side 1024] [--workspace WORK]   # 5,000 images, three people
python benchmarks/annotation.py --picture  # memory of the server that shows 8,000 x 8,000 px
"""

from __future__ import annotations

import argparse
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from annotation_tools.drawing import Drawing
EDGE = "mask/1?edge=true"


def samples(count: int) -> Iterator:
    from annotation_tools.review.model import ReviewSample

    for number in range(count):
        questions = [f"Where in picture {number} would one go to do thing number {place}?" for place in range(6)]
        yield ReviewSample(f"sample{number:06d}", "test", "p.jpg", "m.png", 1024, 1024, False, questions, ["There."])


def review(images: int) -> None:
    from fastapi.testclient import TestClient

    from annotation_tools.review.app import create_app
    from annotation_tools.review.model import Plan
    from annotation_tools.review.schema import STORE, build_store
    from annotation_tools.review.store import ReviewStore

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STORE
        began = time.perf_counter()
        count = build_store(path, samples(images), Plan(), {"source": "benchmark", "run": False})
        print(
            f"store of {count:,} questions made in {time.perf_counter() - began:.1f} s, "
            f"{path.stat().st_size / 2**20:.0f} MiB"
        )
        store = ReviewStore(path)
        client = TestClient(create_app(store))
        for judged in (0, count // 2, count - 200):
            fill(store, judged)
            times = [one_round(client, store.review) for _ in range(100)]
            for name, values in zip(("next question", "verdict"), zip(*times, strict=True), strict=True):
                spread = (
                    f"median {1e3 * statistics.median(values):.1f} ms, 95 % below {1e3 * np.percentile(values, 95):.1f}"
                )
                print(f"{judged:>6,} judged before, {name}: {spread} ms")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def fill(store: object, upto: int) -> None:
    """Record judgements of one reviewer, without the page, until `upto` questions are judged."""
    from annotation_tools.review.model import ReviewJudgement
    from annotation_tools.review.store import ReviewStore

    assert isinstance(store, ReviewStore)
    for place in range(store.progress("filler")["mine"], upto):
        item = store.item("filler", place)
        assert item is not None
        store.judge(
            ReviewJudgement(
                review=store.review,
                reviewer="filler",
                item=item.item,
                place=place,
                verdict="accept",
                revision=0,
                key=str(uuid.uuid4()),
            )
        )


def one_round(client: object, review: str) -> tuple[float, float]:
    from fastapi.testclient import TestClient

    assert isinstance(client, TestClient)
    began = time.perf_counter()
    who = {"review": review, "reviewer": "filler"}
    item = client.get("/api/place", params=who).json()["item"]
    shown = time.perf_counter()
    body = {
        **who,
        "item": item["item"],
        "place": item["place"],
        "verdict": "accept",
        "revision": 0,
        "key": str(uuid.uuid4()),
    }
    assert client.post("/api/verdict", json=body).status_code == 200
    return shown - began, time.perf_counter() - shown


def picture(side: int = 8000) -> None:
    """Serve a large JPEG and a large PNG, look at them as the page does, and print the memory of the server."""
    from PIL import Image

    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 255, (side // 20, side // 20, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).copy()
    pixels[::7, ::5] ^= 31
    for kind in ("jpg", "png"):
        with tempfile.TemporaryDirectory() as folder:
            release = Path(folder) / "release" / "test"
            for name in ("images", "labels", "QAs"):
                (release / name).mkdir(parents=True)
            Image.fromarray(pixels).save(release / "images" / f"a.{kind}", compress_level=1)
            Image.fromarray((pixels[..., 0] > 128).astype(np.uint8) * 255).save(release / "labels" / "a.png")
            (release / "QAs" / "a.json").write_text('{"questions": ["Where is it?"], "answer": ["There."]}')
            print(f"{side} x {side} px, {kind}: {look(release.parent, Path(folder) / 'review', side)}")


def look(release: Path, out: Path, side: int) -> str:
    """Return the memory of a server before and after its picture was looked at from near and far."""
    import httpx

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "annotation_tools", "review", str(release), "--out", str(out)]
    serve = ["--port", str(port)]
    maker = subprocess.Popen([*command, *serve], stdout=subprocess.DEVNULL)
    review = wait_for(port)
    maker.kill()  # a review is made once; the memory that this takes is another matter
    maker.wait()
    server = subprocess.Popen([*command, *serve], stdout=subprocess.DEVNULL)
    try:
        assert wait_for(port) == review
        began, before = time.perf_counter(), memory(server.pid, "VmRSS")
        boxes = ["", *(f"{at},{at},{side // size},{side // size}" for at in (0, side // 2) for size in (2, 8))]
        asked = [f"/{what}&review={review}&box={box}" for box in boxes for what in ("picture/1?", "mask/1?", EDGE)]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client, ThreadPoolExecutor(6) as pool:
            first = client.get(asked[0]).raise_for_status().elapsed.total_seconds()
            assert all(answer.is_success for answer in pool.map(client.get, asked))
            part = client.get(asked[-3]).elapsed.total_seconds()
        time.sleep(2)
        settled, peak = memory(server.pid, "VmRSS"), memory(server.pid, "VmHWM")
        return (
            f"{before:.0f} MiB before, {peak:.0f} at most, {settled:.0f} afterwards; first view {first:.1f} s, a part "
            f"later {part:.2f} s, {len(asked)} requests {time.perf_counter() - began - 2:.0f} s"
        )
    finally:
        server.kill()
        server.wait()


def wait_for(port: int) -> str:
    """Wait for a review server; return the ID of its review."""
    import httpx

    while True:
        try:
            page = httpx.get(f"http://127.0.0.1:{port}/review?reviewer=x").text
            return page.partition('data-review="')[2].partition('"')[0]
        except httpx.TransportError:
            time.sleep(0.1)


def memory(pid: int, name: str) -> float:
    """Read VmRSS or VmHWM (its peak) of a process in MiB."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def codecs() -> None:
    from skimage.draw import disk

    from annotation_tools.formats.brush import decode_brush, encode_brush
    from earthreason.masks.rle import decode_rle, encode_mask

    smooth = np.zeros((1024, 1024), bool)
    smooth[disk((512, 512), 400)] = True
    noisy = np.random.default_rng(0).random((1024, 1024)) > 0.5
    for name, mask in (("a disk", smooth), ("noise", noisy)):
        stream, rle = encode_brush(mask), encode_mask(mask)
        runs = {
            "brush encode": partial(encode_brush, mask),
            "decode": partial(decode_brush, stream, 1024, 1024),
            "COCO RLE encode": partial(encode_mask, mask),
            "RLE decode": partial(decode_rle, rle),
        }
        print(f"1024 x 1024, {name}: " + ", ".join(f"{what} {clock(run):.1f} ms" for what, run in runs.items()))


def agreement(tasks: int, side: int, workspace: Path | None) -> None:
    """Time `agreement` and `adjudicate`, and compare both with the plain definitions on whole masks."""
    from annotation_tools.quality.adjudicate import Rules, adjudicate
    from annotation_tools.quality.masks import compare_drawings
    from annotation_tools.workspace import Workspace

    drawings = drawn_by_three(tasks, side) if workspace is None else Workspace.open(workspace).drawings()
    people = sum(map(len, drawings.values()))
    few = dict(list(drawings.items())[:60])
    began = time.perf_counter()
    plain = [values for several in few.values() for values in plain_pairs(several)]
    of_plain = time.perf_counter() - began
    began = time.perf_counter()
    pairs = compare_drawings(few)
    of_few = time.perf_counter() - began
    assert [(pair.iou, pair.distance, pair.hausdorff95) for pair in pairs] == plain, "not the plain definition"
    print(f"{len(few)} images: plain definition {of_plain:.1f} s, agreement {of_few:.2f} s, identical; ", end="")
    print(f"{of_plain / of_few:.0f} times faster")
    began = time.perf_counter()
    pairs = compare_drawings(drawings)
    print(f"{len(drawings):,} images, {people:,} masks, {len(pairs):,} pairs: {time.perf_counter() - began:.0f} s")
    for method in ("majority", "staple"):
        some = drawings if method == "majority" else few
        began = time.perf_counter()
        settled = sum(entry.settled for entry in adjudicate(some, Rules(method)))
        spent = time.perf_counter() - began
        print(f"adjudicate --method {method}: {len(some):,} images, {settled:,} settled, {spent:.1f} s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def drawn_by_three(tasks: int, side: int) -> dict[str, list[Drawing]]:
    """Draw one target an image: smooth outlines of 0.05 to 40 % of the image, every tenth one scattered in parts."""
    from scipy.ndimage import gaussian_filter, shift

    from annotation_tools.drawing import draw

    chance = np.random.default_rng(0)
    shapes = []
    for number in range(60):
        field = gaussian_filter(chance.standard_normal((side, side)), side / 40)
        if number % 10:
            rows, columns = np.ogrid[:side, :side]
            centre, radius = chance.integers(side // 5, side - side // 5, 2), side * chance.uniform(0.02, 0.3)
            around = np.hypot(rows - centre[0], columns - centre[1]) / radius
            mask = field / field.std() * 0.15 < 1 - around
        else:
            mask = field > np.quantile(field, 0.8)
        shapes.append([shift(mask, chance.integers(-3, 4, 2), order=0, mode="nearest") for _ in range(3)])
    each = [
        [draw("shape", mask, "target", annotator=name) for name, mask in zip("abc", masks, strict=True)]
        for masks in shapes
    ]
    return {f"t{number}": each[number % len(each)] for number in range(tasks)}


def plain_pairs(several: list[Drawing]) -> Iterator[tuple[float, float | None, float | None]]:
    """Compare whole masks by the definition: outlines by erosion, distances by a map of the whole image."""
    from itertools import combinations

    from scipy.ndimage import binary_erosion, distance_transform_edt

    for first, second in combinations(several, 2):
        one, other = first.mask, second.mask
        union = np.count_nonzero(one | other)
        iou = 1.0 if union == 0 else np.count_nonzero(one & other) / union
        if not one.any() or not other.any():
            yield iou, None, None
            continue
        outlines = [mask & ~binary_erosion(mask) for mask in (one, other)]
        maps = [distance_transform_edt(~outline) for outline in outlines]
        values = np.concatenate([maps[1][outlines[0]], maps[0][outlines[1]]])
        yield iou, values.mean(), np.percentile(values, 95)


def clock(run: Callable[[], object]) -> float:
    """Return the best time of five runs in milliseconds."""
    times = []
    for _ in range(5):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return 1e3 * min(times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codecs", action="store_true")
    parser.add_argument("--picture", action="store_true")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--agreement", action="store_true")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--workspace", type=Path)
    options = parser.parse_args()
    if options.codecs:
        codecs()
    elif options.agreement:
        agreement(options.images, options.side, options.workspace)
    elif options.picture:
        picture()
    else:
        review(options.images)
