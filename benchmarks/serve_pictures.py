"""Take the pictures of the page to try a model for the docs: a sample, a GeoTIFF as a map, nothing found, a phone.

python -m benchmarks.serve_pictures docs/images
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.synthetic.generate import compose_scene

_SIDE, _ROWS, _COLUMNS, _METRES = 256, 3, 4, 0.5
_CATEGORIES = ("storage tank", "stadium", "pier")
_DESK, _PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


def write_scene(path: Path) -> str:
    """Write a GeoTIFF of synthetic scenes side by side, and return a question about it."""
    import rasterio

    made = [
        compose_scene(24, "val", number, size=(_SIDE, _SIDE), empty_share=0.0, categories=[_CATEGORIES[number % 3]])
        for number in range(_ROWS * _COLUMNS)
    ]
    rows = [np.hstack([each.scene.image for each in made[row * _COLUMNS :][:_COLUMNS]]) for row in range(_ROWS)]
    pixels = np.moveaxis(np.vstack(rows), -1, 0)
    options = {"driver": "GTiff", "height": pixels.shape[1], "width": pixels.shape[2], "count": 3, "dtype": "uint8"}
    place = rasterio.transform.from_origin(565_000, 5_933_000, _METRES, _METRES)
    with rasterio.open(path, "w", crs="EPSG:32632", transform=place, tiled=True, compress="deflate", **options) as out:
        out.write(pixels)
    return str(made[0].questions[0])


@contextmanager
def serving(checkpoint: str, scenes: Path) -> Iterator[str]:
    """Run `python -m baselines serve`; gives its address."""
    command = [sys.executable, "-m", "baselines", "serve", "--checkpoint", checkpoint, "--scenes", str(scenes)]
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            said = []
            for line in server.stdout or ():
                said.append(line)
                if found := re.search(r"http://[\w.:]+", line):
                    yield found.group().rstrip(":")
                    return
            raise SystemExit(f"the server ended: {''.join(said)}")
        finally:
            server.terminate()


def ask(page: Any, *questions: str) -> None:
    """Type questions, send them, and wait for the answers."""
    for number, question in enumerate(questions):
        if number:
            page.locator("#add").click()
        page.locator("#fields textarea").nth(number).fill(question)
    page.keyboard.press("Enter")
    page.wait_for_function(
        "count => !document.querySelector('#answers-part').hidden && document.querySelector('#waiting').hidden && "
        "document.querySelectorAll('#answers > li').length === count",
        arg=len(questions),
    )
    page.mouse.move(5, 5)
    page.wait_for_timeout(600)


def open_sample(page: Any, title: str) -> list[str]:
    """Open a sample and return its questions."""
    page.get_by_role("button", name=title).click()
    page.wait_for_selector("#examples button")
    return list(page.locator("#examples button").all_inner_texts())


def save_screen(page: Any, path: Path) -> None:
    """Save what the window shows, in 256 colours: a third of the bytes."""
    with Image.open(io.BytesIO(page.screenshot())) as screen:
        screen.convert("RGB").quantize(256, kmeans=2).save(path, optimize=True)


def take_pictures(browser: Any, address: str, out: Path, question: str) -> None:
    """Take every picture."""

    def opened(viewport: dict[str, int], scheme: str) -> Any:
        page = browser.new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        page.goto(address)
        page.wait_for_selector("#samples button")
        return page

    page = opened(_DESK, "light")
    ask(page, *open_sample(page, "Stadium")[:1], "Where could a car be parked?")
    save_screen(page, out / "serve_sample.png")
    page = opened(_DESK, "dark")
    ask(page, *open_sample(page, "Nothing to find")[:1])
    save_screen(page, out / "serve_nothing.png")
    page = opened(_DESK, "light")
    page.get_by_role("button", name="town.tif").click()
    page.wait_for_load_state("networkidle")
    ask(page, question)
    save_screen(page, out / "serve_scene.png")
    page = opened(_PHONE, "dark")
    ask(page, *open_sample(page, "Solar power plant")[:1])
    save_screen(page, out / "serve_phone.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the pictures")
    parser.add_argument("--checkpoint", default="tiny")
    a = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        question = write_scene(Path(folder) / "town.tif")
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with serving(a.checkpoint, Path(folder)) as address:
            take_pictures(browser, address, a.out, question)
        browser.close()


if __name__ == "__main__":
    main()
