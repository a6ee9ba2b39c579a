"""`earthreason synth`: make a synthetic dataset in the layout of the official release."""

from __future__ import annotations

import re
import time
from typing import Annotated

import typer

from earthreason.cli.app import command_line
from earthreason.cli.options import CORES, OutFolder, ProcessesOption
from earthreason.errors import EarthReasonError
from earthreason.plurals import count_of
from earthreason.progress import progress_bar

_SCENES = 5000


def synth(
    out: OutFolder,
    n: Annotated[
        int | None,
        typer.Option(min=5, help="Number of scenes, divided among the splits as in the release.", show_default="5000"),
    ] = None,
    train: Annotated[int | None, typer.Option(min=0, help="Number of training scenes, instead of --n.")] = None,
    val: Annotated[int | None, typer.Option(min=0, help="Number of validation scenes, instead of --n.")] = None,
    test: Annotated[int | None, typer.Option(min=0, help="Number of test scenes, instead of --n.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the dataset; the same seed gives the same bytes.")] = 1,
    workers: ProcessesOption = CORES,
    size: Annotated[
        str,
        typer.Option(
            help="Size in pixels: a side such as 512, HEIGHTxWIDTH, or 'varied' (sides of 123 to 2048, up to 1:3)."
        ),
    ] = "512",
    empty_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of empty targets.", show_default="0.12")
    ] = None,
    category_maps: Annotated[
        bool, typer.Option("--category-maps", help="Also write what each pixel shows, as {split}/categories.")
    ] = False,
) -> None:
    """Write synthetic scenes with exact masks and implicit questions as {train,val,test}/{images,labels,QAs}.

    Example: earthreason synth --out synthetic --n 5000 --seed 1 --workers 2

    Example: earthreason synth --out scenes --train 20000 --val 400 --size 256
    """
    from earthreason.synthetic.generate import EMPTY_SHARE
    from earthreason.synthetic.release import write_release

    share = EMPTY_SHARE if empty_share is None else empty_share
    shape, counts = _parse_size(size), _counts(n, {"train": train, "val": val, "test": test})
    total = sum(counts.values())
    began = time.perf_counter()
    with progress_bar(total=total, unit="scene", desc=str(out), delay=0.2) as bar:  # a refusal shows no bar
        written = write_release(
            out,
            counts,
            seed,
            workers=workers,
            size=shape,
            empty_share=share,
            category_maps=category_maps,
            progress=bar.update,
        )
    seconds = time.perf_counter() - began
    splits = ", ".join(f"{split} {count}" for split, count in written.scenes.items())
    empty, speed = sum(written.empty.values()), total / seconds
    scenes, nothing = count_of(total, "scene"), count_of(empty, "empty target")
    typer.echo(f"{scenes} in {out}: {splits}; {nothing}; {speed:.1f} per second")
    code = f"import earthreason; earthreason.load_dataset('earthreason', data_dir={str(out)!r})"
    typer.echo(f"load them in Python: {code}")
    typer.echo(f"next: {command_line('earthreason', 'verify', out)}")


def _counts(n: int | None, asked: dict[str, int | None]) -> dict[str, int]:
    """Return the number of scenes by split: the given numbers, or `n` divided among the splits."""
    from earthreason.synthetic.release import split_counts

    named = {split: count for split, count in asked.items() if count is not None}
    if not named:
        return split_counts(_SCENES if n is None else n)
    if n is not None:
        raise EarthReasonError(f"--n {n} and --{next(iter(named))}: give either the total or the number of each split")
    return named


def _parse_size(text: str) -> tuple[int, int] | None:
    from earthreason.synthetic.render import SIDE_RANGE

    if text == "varied":
        return None
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if match is None:
        raise EarthReasonError(f"--size {text}: give pixels as 512 or 300x777 (height x width), or 'varied'")
    shape = (int(match[1]), int(match[2] or match[1]))
    if not all(SIDE_RANGE[0] <= side <= SIDE_RANGE[1] for side in shape):
        raise EarthReasonError(f"--size {text}: sides go from {SIDE_RANGE[0]} to {SIDE_RANGE[1]} px")
    return shape
