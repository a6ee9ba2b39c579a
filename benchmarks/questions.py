"""Compare question generation with a plain loop over the `openai` client, on the same fake server.

    python benchmarks/questions.py
    python benchmarks/questions.py --items 5000    memory
    python benchmarks/questions.py --cost    dry run over as many images as in the official set

Both send the same requests, byte for byte, with the same concurrency; those of the loop are ready before it starts,
while ours encodes pictures, checks and stores answers, counts costs and can be resumed. The server is a process of its
own and answers in a second, faster than any vision model.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from openai import AsyncOpenAI
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from earthreason.data.schema import Record
from earthreason.masks.png import encode_mask_png
from earthreason.questions.estimate import estimate
from earthreason.questions.ledger import Ledger
from earthreason.questions.pipeline import GenerationRun, RunConfig
from earthreason.questions.prompting.prompts import load_prompts
from earthreason.questions.servers.client import ClientConfig, ModelClient
from earthreason.questions.servers.pricing import load_prices
from earthreason.questions.servers.request import Request
from earthreason.questions.stages import StageConfig

PAID_MODELS = (
    ("gpt-4o", "gpt-4o", 1),
    ("gpt-6-sol", "gpt-6-sol", 1),
    ("anthropic/claude-sonnet-5-5", "anthropic/claude-sonnet-5-5", 1),
    ("gemini/gemini-3.8-flash", "gemini/gemini-3.8-flash", 1),
    ("gpt-6-sol", "gpt-6-luna", 1),
    ("gpt-6-sol", "gpt-6-luna", 3),
)
"""The model that proposes, the one that rewrites and judges, and the number of votes."""
SERVER = Path(__file__).resolve().parent.parent / "tests/questions/fake_server.py"


def print_cost(images: int = 5434, side: int = 1024, small: int = 3) -> None:
    """Print the estimated cost of images of which every third has a target so small that it is also shown enlarged."""

    class Official:
        name, counts = "official", {"train": images}

        def read(self, split: str) -> Iterator[Record]:
            masks = [encode_mask_png(_square(side, extent)) for extent in (side // 10, side // 3)]
            for number in range(images):
                mask = masks[0] if number % small == 0 else masks[1]
                yield Record(
                    f"s{number}", b"", mask, side, side, False, ["?"], category="storage tank", ground_resolution=2.5
                )

    prices = load_prices()
    for propose, others, votes in PAID_MODELS:
        stages = StageConfig(propose, others, others, load_prompts(), votes=votes)
        estimates = estimate(Official(), RunConfig(stages), prices)
        parts = ", ".join(f"{entry.stage} ${entry.usd:.2f}" for entry in estimates)
        total = sum(entry.usd or 0 for entry in estimates)
        batch = total * prices.of(propose).batch
        print(f"{propose}, then {others}, {votes} votes: {parts}; together ${total:.0f}, in batches ${batch:.0f}")


def _square(side: int, extent: int) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[:extent, :extent] = True
    return mask


class Many:
    """Yield the same image under many ids."""

    name = "many"

    def __init__(self, count: int, side: int) -> None:
        self.counts, self._side = {"train": count}, side
        draw = np.random.default_rng(0)
        # Blurred noise with a grain takes about as many bytes as an aerial image of this size.
        coarse = Image.fromarray(draw.integers(0, 255, (side // 16, side // 16, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
        grain = draw.integers(-12, 12, pixels.shape)
        buffer = io.BytesIO()
        Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        mask = np.zeros((side, side), bool)
        mask[side // 4 : side // 2, side // 4 : -side // 4] = True
        self._image, self._mask = buffer.getvalue(), encode_mask_png(mask)

    def read(self, split: str) -> Iterator[Record]:
        for number in range(self.counts[split]):
            # The end of the mask's file holds the id, so that each item has its own cache keys.
            mask = self._mask + f"{number}".encode()
            yield Record(f"s{number}", self._image, mask, self._side, self._side, False, ["?"], category="pier")


class Recorder(ModelClient):
    """Client that keeps the bodies of its requests, by the key of their answers."""

    bodies: dict[str, dict[str, Any]]

    async def ask(self, request: Request[Any], urls: Sequence[str], key: str, *others: Any) -> Any:
        self.bodies[key] = request.body(urls)
        return await super().ask(request, urls, key, *others)


async def ours(source: Many, url: str, folder: Path, concurrency: int, bodies: dict[str, Any] | None = None) -> float:
    """Return the seconds of a run, and put the bodies of its requests into `bodies`."""
    stages = StageConfig("gpt-4o", "gpt-4o", "gpt-4o", load_prompts())
    ledger = Ledger(folder / "ledger.sqlite")
    config = ClientConfig(base_url=url, api_key="x", concurrency=concurrency)
    began = time.perf_counter()
    async with (ModelClient if bodies is None else Recorder)(config, load_prices()) as client:
        if isinstance(client, Recorder) and bodies is not None:
            client.bodies = bodies
        outcome = await GenerationRun(RunConfig(stages, empty_share=0), ledger, client).generate(source)
    seconds = time.perf_counter() - began
    assert outcome.complete, "the fake server answers all"
    return seconds


async def record(source: Many, url: str, folder: Path, concurrency: int) -> list[list[dict[str, Any]]]:
    """Return the bodies of the requests about each sample."""
    bodies: dict[str, dict[str, Any]] = {}
    await ours(source, url, folder, concurrency, bodies)
    ledger = Ledger(folder / "ledger.sqlite")
    return [[bodies[call["key"]] for call in result.provenance] for _, result in ledger.results()]


async def bare_loop(samples: list[list[dict[str, Any]]], url: str, concurrency: int) -> float:
    """Return the seconds that it takes to send the requests about each sample one after the other."""
    client, remaining = AsyncOpenAI(base_url=url, api_key="x", max_retries=0), iter(samples)

    async def work() -> None:
        for bodies in remaining:
            for body in bodies:
                await client.chat.completions.create(**body)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    seconds = time.perf_counter() - began
    await client.close()
    return seconds


@contextmanager
def fake_server(delay: float) -> Iterator[str]:
    """Run the fake server as a process; yield its address."""
    program = [sys.executable, str(SERVER), "0", str(delay)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()


def compare(arguments: argparse.Namespace) -> None:
    source, concurrency = Many(arguments.samples, arguments.side), arguments.concurrency
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder, fake_server(arguments.delay) as url:
        samples = asyncio.run(record(source, url, Path(folder) / "first", concurrency))
        for number in range(arguments.repeats):  # in turns, so that other load on the machine falls on both
            seconds["bare"].append(asyncio.run(bare_loop(samples, url, concurrency)))
            seconds["ours"].append(asyncio.run(ours(source, url, Path(folder) / str(number), concurrency)))
    calls = sum(map(len, samples))
    print(f"{calls} requests, {concurrency} at a time, {arguments.delay} s each at the server, {arguments.side} px")
    for name, several in seconds.items():
        print(f"{name}: {', '.join(f'{value:.1f}' for value in several)} s; at best {min(several):.1f} s")
    ratios = [f"{ours / bare - 1:+.1%}" for bare, ours in zip(seconds["bare"], seconds["ours"], strict=True)]
    best = min(seconds["ours"]) / min(seconds["bare"]) - 1
    print(f"ours takes {best:+.1%} (by turns: {', '.join(ratios)})")


def print_memory(items: int) -> None:
    with tempfile.TemporaryDirectory() as folder, fake_server(0) as url:
        for count in (1000, 3000, items):
            asyncio.run(ours(Many(count, 256), url, Path(folder) / str(count), 16))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{count} items: peak {peak:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, help="print the peak of memory after as many samples instead")
    parser.add_argument("--samples", type=int, default=160, help="number of samples in the comparison")
    parser.add_argument("--side", type=int, default=1024, help="side of the images, pixels")
    parser.add_argument("--concurrency", type=int, default=32, help="number of requests at a time")
    parser.add_argument("--delay", type=float, default=1.0, help="time that the server takes for an answer, seconds")
    parser.add_argument("--repeats", type=int, default=3, help="number of measurements of each")
    parser.add_argument("--cost", action="store_true", help="print the estimated cost of the official set instead")
    arguments = parser.parse_args()
    if arguments.cost:
        print_cost()
        return
    if arguments.items:
        print_memory(arguments.items)
        return
    compare(arguments)


if __name__ == "__main__":
    main()
