"""Compare question generation with a plain loop over the `openai` client, on the same fake server.

    python benchmarks/questions.py
    python benchmarks/questions.py --cost    dry run over as many images as in the official set

Both send the same requests with the same concurrency; ours also checks and caches answers, counts costs and can be
resumed. The server answers in 0.2 s, faster than any real one. Also measures memory over many items.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from openai import AsyncOpenAI
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from earthreason.data.schema import Record
from earthreason.masks.png import encode_mask_png
from earthreason.questions.client import ClientConfig, ModelClient
from earthreason.questions.estimate import estimate
from earthreason.questions.ledger import Ledger
from earthreason.questions.pipeline import GenerationRun, RunConfig
from earthreason.questions.pricing import load_prices
from earthreason.questions.prompts import load_prompts
from earthreason.questions.stages import StageConfig, picture_urls, propose_request
from earthreason.questions.types import Hints
from tests.questions.fake_server import Server

CONCURRENCY, ITEMS, DELAY = 16, 320, 0.2


def print_cost(images: int = 5434, side: int = 1024) -> None:
    class Official:
        name, counts = "official", {"train": images}

        def read(self, split: str) -> Iterator[Record]:
            for number in range(images):
                yield Record(
                    f"s{number}", b"", b"", side, side, False, ["?"], category="storage tank", ground_resolution=2.5
                )

    for propose, others in (("gpt-4o", "gpt-4o"), ("gpt-4o", "gpt-4o-mini")):
        stages = StageConfig(propose, others, others, load_prompts())
        estimates = estimate(Official(), RunConfig(stages), load_prices())
        parts = ", ".join(f"{entry.stage} ${entry.usd:.2f}" for entry in estimates)
        print(f"{propose}, then {others}: {parts}; together ${sum(entry.usd or 0 for entry in estimates):.0f}")


class Many:
    """Yield the same small image under many ids."""

    name = "many"

    def __init__(self, count: int) -> None:
        self.counts = {"train": count}
        buffer = io.BytesIO()
        pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, "JPEG")
        self._image, self._mask = buffer.getvalue(), encode_mask_png(np.eye(256, dtype=bool))

    def read(self, split: str) -> Iterator[Record]:
        for number in range(self.counts[split]):
            # The mask encodes the id, so that each item has its own cache keys.
            mask = self._mask + f"{number}".encode()
            yield Record(f"s{number}", self._image, mask, 256, 256, False, ["?"], category="pier")


async def bare_loop(source: Many, url: str) -> float:
    client, slots = AsyncOpenAI(base_url=url, api_key="x", max_retries=0), asyncio.Semaphore(CONCURRENCY)
    stages = StageConfig("gpt-4o", "gpt-4o", "gpt-4o", load_prompts())
    request = propose_request(Hints("pier"), stages)

    async def one(record: Record) -> None:
        for _ in range(3):
            async with slots:
                body = request.body(picture_urls(record, request.pictures))
                await client.chat.completions.create(**body)

    began = time.perf_counter()
    await asyncio.gather(*(one(record) for record in source.read("train")))
    seconds = time.perf_counter() - began
    await client.close()
    return seconds


async def ours(source: Many, url: str, folder: Path) -> float:
    stages = StageConfig("gpt-4o", "gpt-4o", "gpt-4o", load_prompts())
    ledger = Ledger(folder / "ledger.sqlite")
    config = ClientConfig(base_url=url, api_key="x", concurrency=CONCURRENCY)
    began = time.perf_counter()
    async with ModelClient(config, load_prices()) as client:
        await GenerationRun(RunConfig(stages, empty_share=0), ledger, client).generate(source)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000, help="largest number of items in the memory measurement")
    parser.add_argument("--cost", action="store_true")
    arguments = parser.parse_args()
    if arguments.cost:
        print_cost()
        return
    server = Server(delay=DELAY)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    source = Many(ITEMS)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(bare_loop(Many(CONCURRENCY), url))
        bare = min(asyncio.run(bare_loop(source, url)) for _ in range(2))
        run = asyncio.run(ours(source, url, Path(folder)))
    calls = 3 * ITEMS
    print(f"{calls} requests, {CONCURRENCY} at a time, {DELAY} s each at the server")
    print(f"bare openai loop {bare:6.1f} s   {1000 * bare / calls:6.1f} ms a request")
    print(f"ours             {run:6.1f} s   {1000 * run / calls:6.1f} ms a request   {run / bare - 1:+.1%}")
    server.delay = 0
    with tempfile.TemporaryDirectory() as folder:
        for items in (1000, 3000, arguments.items):
            asyncio.run(ours(Many(items), url, Path(folder) / str(items)))
            server.served.clear()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{items} items: peak {peak:.0f} MiB")


if __name__ == "__main__":
    main()
