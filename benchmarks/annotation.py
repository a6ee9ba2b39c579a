"""Measure the review page at the size of the release, and the speed of mask codecs.

python benchmarks/annotation.py            # 5,000 images, 30,000 questions
python benchmarks/annotation.py --codecs
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np


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
    parser.add_argument("--images", type=int, default=5000)
    options = parser.parse_args()
    codecs() if options.codecs else review(options.images)
