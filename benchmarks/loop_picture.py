"""Record the loop of the README as an animated picture: load, predict, score, read the report.

python -m benchmarks.loop_picture docs/images/loop.gif

Every program is run, in an empty folder, and what it prints is what the picture shows.
"""

from __future__ import annotations

import argparse
import html
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from earthreason.files import atomic_path
from earthreason.reports.page import embed_image

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 880, 520
_COLOURS = 200
_MODULES = {
    "earthreason-baselines": ["-m", "baselines"],
    "earthreason-eval": ["-m", "earthreason", "eval"],
    "python": [],
}
_LINES = 17
"""Lines of output that fit below a command."""
LOAD = (
    "from earthreason import load_dataset, show",
    'test = load_dataset("earthreason", "sample", split="test")',
    "show(test[3])",
)
PREDICT = "earthreason-baselines predict --model segearth_r1 --checkpoint tiny --config sample --out preds.json"
SCORE = "earthreason-eval preds.json --report report"
STEPS = ("load", "predict", "score", "report")
_PAGE = """<!doctype html><meta charset="utf-8"><style>
* { box-sizing: border-box; }
body { margin: 0; width: %dpx; height: %dpx; overflow: hidden; background: #14181f; color: #e8eaee; }
header { display: flex; gap: 1.5rem; padding: 12px 20px; border-bottom: 1px solid #343c48; }
header { font: 600 15px system-ui, sans-serif; color: #7d8795; }
pre { margin: 0; padding: 14px 20px; font: 14px/1.5 "DejaVu Sans Mono", monospace; white-space: pre-wrap; }
b, i { font-style: normal; color: #2cc79a; }
img { display: block; margin: 2px 20px; max-width: 840px; max-height: %dpx; }
</style><header>%s</header><pre>%s</pre>%s"""
_CELL = """<!doctype html><meta charset="utf-8">
<style>body { margin: 0; background: #14181f; color: #e8eaee; font: 14px/1.4 system-ui, sans-serif; }</style>
"""
"""What surrounds the output of a cell, as a dark notebook does."""


@dataclass(frozen=True)
class Scene:
    """A moment of the recording.

    Attributes:
        step: which of `STEPS` it belongs to.
        text: lines of the terminal; those after a prompt are typed.
        seconds: how long it is shown.
        picture: picture below the text; None if there is none.
    """

    step: str
    text: Sequence[str]
    seconds: float
    picture: Image.Image | None = None


def run(command: str, folder: Path) -> list[str]:
    """Run a program of the suite in a folder and return the lines that it prints.

    Raises:
        SystemExit: the program fails.
    """
    name, *arguments = command.split()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "96", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, *_MODULES[name], *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    return done.stdout.rstrip().splitlines()


def record(folder: Path, browser: Any) -> list[Scene]:
    """Run the loop in an empty folder and return what a viewer sees of it."""
    code = "\n".join([*LOAD[:-1], f"shown = {LOAD[-1]}", 'open("sample.html", "w").write(shown._repr_html_())'])
    (folder / "load.py").write_text(f"{code}\n")
    run("python load.py", folder)
    (folder / "sample.html").write_text(_CELL + (folder / "sample.html").read_text())
    sample = _take(browser, folder / "sample.html", (1120, 490))
    typed = [f">>> {line}" for line in LOAD]
    scenes = [Scene("load", typed[:number], 0.9) for number in (1, 2, 3)]
    scenes.append(Scene("load", typed, 3.5, sample))
    for step, command, seconds in (("predict", PREDICT, 2.5), ("score", SCORE, 4.0)):
        printed = [line for line in run(command, folder) if line.strip()]
        scenes += [
            Scene(step, [f"$ {command}"], 1.4),
            Scene(step, [f"$ {command}", *printed[:_LINES]], seconds),
        ]
    report = folder / "report" / "index.html"
    for anchor, seconds in (("", 3.0), ("#iou", 2.5), ("#g2", 4.0)):
        scenes.append(Scene("report", [], seconds, _take(browser, report, (1120, 590), anchor)))
    return scenes


def _take(browser: Any, file: Path, size: tuple[int, int], anchor: str = "") -> Image.Image:
    page = browser.new_page(viewport=dict(zip(("width", "height"), size, strict=True)), color_scheme="dark")
    page.goto(file.as_uri() + anchor)
    page.wait_for_timeout(800)  # pictures that come into view are decoded
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        picture = shot.convert("RGB")
    page.close()
    return picture


def draw(scenes: Sequence[Scene], browser: Any) -> list[Image.Image]:
    """Draw each scene as a frame of `WIDTH` by `HEIGHT` pixels."""
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    frames = []
    for scene in scenes:
        steps = "".join(f"<b>{step}</b>" if step == scene.step else f"<span>{step}</span>" for step in STEPS)
        text = "\n".join(_line(line) for line in scene.text)
        room = HEIGHT - 60 - 21 * len(scene.text) - 30
        picture = "" if scene.picture is None else f'<img src="{embed_image(scene.picture)}">'
        page.set_content(_PAGE % (WIDTH, HEIGHT, room, steps, text, picture))
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            frames.append(shot.convert("RGB"))
    page.close()
    return frames


def _line(line: str) -> str:
    prompt, _, typed = line.partition(" ")
    return f"<i>{html.escape(prompt)}</i> {html.escape(typed)}" if prompt in ("$", ">>>") else html.escape(line)


def save(path: Path, frames: Sequence[Image.Image], seconds: Sequence[float]) -> None:
    """Write frames as an animated GIF that repeats without end."""
    first, *others = [
        frame.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE) for frame in frames
    ]
    durations = [round(1000 * each) for each in seconds]
    with atomic_path(path) as temporary:
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    a = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        scenes = record(Path(folder), browser)
        save(a.out, draw(scenes, browser), [scene.seconds for scene in scenes])
        browser.close()


if __name__ == "__main__":
    main()
