"""Take the pictures of the page to try a model for the docs: a GeoTIFF as a map, a sample on a phone.

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

from PIL import Image

from benchmarks.scene_pictures import QUESTIONS
from examples.make_scene import write_valley

_DESK, _PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


@contextmanager
def serving(checkpoint: str, scenes: Path) -> Iterator[str]:
    """Run `earthreason-baselines serve`; gives its address."""
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


def take_pictures(browser: Any, address: str, out: Path) -> None:
    """Take both pictures."""

    def opened(viewport: dict[str, int], scheme: str) -> Any:
        page = browser.new_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        page.goto(address)
        page.wait_for_selector("#samples button")
        return page

    page = opened(_DESK, "light")
    page.get_by_role("button", name="valley.tif").click()
    page.wait_for_load_state("networkidle")
    ask(page, *QUESTIONS)
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
        write_valley(Path(folder) / "valley.tif", 8)
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with serving(a.checkpoint, Path(folder)) as address:
            take_pictures(browser, address, a.out)
        browser.close()


if __name__ == "__main__":
    main()
