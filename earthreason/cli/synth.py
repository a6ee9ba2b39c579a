"""`earthreason synth`: make a synthetic set in the layout of the official release."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from earthreason.cli.app import stdout
from earthreason.cli.options import CORES


def synth(
    out: Annotated[Path, typer.Option("--out", help="Folder to write; must not exist, or be empty.")],
    n: Annotated[int, typer.Option("--n", min=5, help="Scenes over all splits.")] = 5000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same bytes.")] = 1,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.", show_default="all cores")] = CORES,
    size: Annotated[str, typer.Option("--size", help="Pixels: 512, HEIGHTxWIDTH, or 'varied' (128 to 2048).")] = "512",
) -> None:
    """Write synthetic scenes with exact masks and implicit questions as {train,val,test}/{images,labels,QAs}.

    Example: earthreason synth --out synthetic --n 5000 --seed 1 --workers 2
    """
    from tqdm import tqdm

    from earthreason.data.synthetic.release import write_release

    shape = _parse_size(size)
    began = time.perf_counter()
    with tqdm(total=n, unit="scene", desc=str(out)) as bar:
        written = write_release(out, n, seed, workers=workers, size=shape, progress=bar.update)
    seconds = time.perf_counter() - began
    splits = ", ".join(f"{split} {count}" for split, count in written.scenes.items())
    console = stdout()
    console.print(
        f"{n} scenes in {out}: {splits}; {sum(written.empty.values())} empty targets; {n / seconds:.1f} a second"
    )
    console.print(f'load them: load_dataset("earthreason", data_dir="{out}")', soft_wrap=True)


def _parse_size(text: str) -> tuple[int, int] | None:
    from earthreason.data.synthetic.render import SIDE_RANGE
    from earthreason.errors import EarthReasonError

    if text == "varied":
        return None
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if match is None:
        raise EarthReasonError(f"--size {text}: give pixels as 512 or 300x777 (height x width), or 'varied'")
    shape = (int(match[1]), int(match[2] or match[1]))
    if not all(SIDE_RANGE[0] <= side <= SIDE_RANGE[1] for side in shape):
        raise EarthReasonError(f"--size {text}: sides go from {SIDE_RANGE[0]} to {SIDE_RANGE[1]} px")
    return shape
