"""Report agreement as tables in the terminal and as a page with pictures of the disagreements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from rich.console import Console

import earthreason.reports
from earthreason.files import write_text
from earthreason.masks.grids import nearest_indices
from earthreason.metrics.statistics import FEW_IMAGES
from earthreason.overlay import outline_mask
from earthreason.plurals import count_of
from earthreason.reports.page import embed_image
from earthreason.reports.tables import new_table, print_table

from ..drawing import Drawing
from ..review.pictures import MASK_COLOUR
from ..rulings import current_consensus
from ..workspace import Consensus, Workspace
from .agreement import Quality, TargetAgreement, places_of
from .instances import FOUND
from .masks import MaskPair
from .ratings import Agreement

SHOWN = 40
"""Most pairs of masks on the page; the worst come first."""
_SIDE = 420
_TINT = 0.6
_FIRST_COLOUR, _SECOND_COLOUR = MASK_COLOUR, (255, 200, 30)
"""Magenta and amber differ in lightness, too, and are rare on the ground."""
_BOTH_COLOUR = (255, 255, 255)


@dataclass(frozen=True)
class Shown:
    """A disagreement on the page."""

    pair: MaskPair
    picture: str
    overlay: str
    said: list[str]
    waits: str


def print_quality(quality: Quality, console: Console) -> None:
    """Print the report without pictures."""
    if quality.iou is None:
        console.print("no image was drawn by two or more people")
    else:
        mean = quality.iou[0]
        distance = "" if quality.distance is None else f"; outlines {quality.distance:.2f} px apart"
        console.print(
            f"{count_of(quality.images, 'image')} drawn by several people, {count_of(len(quality.pairs), 'pair')}: "
            f"IoU {mean:.3f} ({describe_interval(quality)}), 5th percentile {quality.iou_low:.3f}{distance}",
            soft_wrap=True,
            markup=False,
        )
    if quality.targets is not None:
        console.print(describe_targets(quality.targets), soft_wrap=True, markup=False)
    table = new_table("agreement on", numbers=("items", "raw", "PABAK", "alpha"))
    table.add_column("prevalence", overflow="fold")
    for name, agreement in kinds(quality):
        values = (number(value) for value in (agreement.raw, agreement.pabak, agreement.alpha))
        table.add_row(name, str(agreement.things), *values, shares(agreement))
    print_table(table, console)
    numbers = ("tasks", "empty", "seconds", "IoU with others", "drift (rho, p)")
    people = new_table("annotator", numbers=numbers)
    for person in quality.people:
        drift = "-" if person.drift is None else f"{person.drift[0]:+.2f}, {person.drift[1]:.3f}"
        people.add_row(
            person.name, str(person.tasks), f"{person.empty:.0%}", number(person.seconds, 1), number(person.iou), drift
        )
    if quality.people:
        print_table(people, console)
    for reviewer, (count, seconds) in quality.pace.items():
        twice, share = quality.consistency.get(reviewer, (0, 0.0))
        again = f"; {share:.0%} of {twice} judged the same the second time" if twice else ""
        console.print(f"{reviewer} judged {count_of(count, 'question')}, median {seconds:.1f} s{again}", markup=False)


def describe_targets(targets: TargetAgreement) -> str:
    """Describe the agreement on separate targets in a line."""
    return (
        f"{count_of(targets.tasks, 'task')} with separate targets: F1 {number(targets.f1)}, panoptic quality "
        f"{number(targets.panoptic)}; {count_of(targets.same, 'target')} marked by both people of a pair (IoU above "
        f"{FOUND:g}), {targets.different} by one of them"
    )


def kinds(quality: Quality) -> list[tuple[str, Agreement]]:
    """List the kinds of agreement with their titles."""
    listed = [("target or none", quality.emptiness), ("category", quality.categories)]
    return listed if quality.verdicts is None else [*listed, ("verdict on a question", quality.verdicts)]


def describe_interval(quality: Quality) -> str:
    """Describe the interval of the mean IoU, or say why there is none."""
    _, low, high = quality.iou or (None, None, None)
    return f"no 95 % interval: {FEW_IMAGES}" if low is None else f"95 % interval {number(low)} to {number(high)}"


def number(value: float | None, digits: int = 3) -> str:
    """Format a number; undefined ones become a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def shares(agreement: Agreement) -> str:
    """Format the four largest shares of the prevalence, largest first."""
    ordered = sorted(agreement.prevalence.items(), key=lambda entry: -entry[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in ordered[:4]) + (", ..." if len(ordered) > 4 else "")


def write_quality(
    folder: Path, quality: Quality, workspace: Workspace, verdicts: Sequence[Mapping[str, Any]] | None = None
) -> Path:
    """Write a self-contained page to `folder/index.html`; return its path."""
    disputes = sorted(
        (pair for pair in quality.pairs if pair.iou < 1), key=lambda pair: (pair.iou, -(pair.distance or 0), pair.image)
    )
    drawings, consensus = workspace.drawings(), current_consensus(workspace)
    shown = [_show(pair, workspace, drawings, consensus.get(pair.image)) for pair in disputes[:SHOWN]]
    styles = Path(earthreason.reports.__file__).parent / "templates"
    loader = FileSystemLoader([Path(__file__).parent / "templates", styles])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.globals |= {"number": number, "shares": shares, "describe_interval": describe_interval}
    environment.globals |= {"describe_targets": describe_targets, "count_of": count_of}
    page = folder / "index.html"
    text = environment.get_template("agreement.html").render(
        found=quality,
        kinds=kinds(quality),
        shown=shown,
        disputes=len(disputes),
        root=workspace.root,
        waiting=sum(not entry.settled for entry in consensus.values()),
        questions=_disputed_questions(quality, verdicts or ()),
    )
    write_text(page, text)
    return page


def _disputed_questions(quality: Quality, verdicts: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[str]]]:
    """List the questions with different verdicts: place, text and the verdicts by reviewer."""
    if quality.verdicts is None:
        return []
    disputed = set(quality.verdicts.disputed)
    table: dict[str, tuple[str, list[str]]] = {}
    for place, entry in zip(places_of(verdicts), verdicts, strict=True):
        if place in disputed and entry["round"] == 1:
            reasons = f" ({', '.join(entry['reasons'])})" if entry["reasons"] else ""
            table.setdefault(place, (entry["question"], []))[1].append(
                f"{entry['reviewer']}: {entry['verdict']}{reasons}"
            )
    return [(place, text, said) for place, (text, said) in table.items()]


def _show(
    pair: MaskPair, workspace: Workspace, drawings: Mapping[str, Sequence[Drawing]], entry: Consensus | None
) -> Shown:
    by_name = {drawing.annotator: drawing for drawing in drawings[pair.image]}
    first, second = by_name[pair.first], by_name[pair.second]
    with Image.open(workspace.picture(pair.image)) as image:
        small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    said = [f"{d.annotator}: {d.category or ('no target' if d.is_empty else 'target')}" for d in (first, second)]
    waits = "" if entry is None or entry.settled else entry.reason
    overlay = draw_difference(small, first.mask, second.mask)
    return Shown(pair, embed_image(small), embed_image(overlay), said, waits)


def draw_difference(image: Image.Image, first: np.ndarray, second: np.ndarray) -> Image.Image:
    """Tint the pixels in only one of two masks (magenta: first, amber: second) and outline those in both.

    Args:
        image: RGB image of any size.
        first: (height, width) bool mask at the original size.
        second: (height, width) bool mask at the original size.
    """
    rows, columns = nearest_indices(first.shape[0], image.height), nearest_indices(first.shape[1], image.width)
    one, other = first[rows][:, columns], second[rows][:, columns]
    pixels = np.asarray(image).astype(np.float32)
    for region, colour in ((one & ~other, _FIRST_COLOUR), (other & ~one, _SECOND_COLOUR)):
        pixels[region] = pixels[region] * (1 - _TINT) + np.array(colour, np.float32) * _TINT
    drawn = Image.fromarray(pixels.astype(np.uint8))
    if (one & other).any():
        drawn = outline_mask(drawn, one & other, _BOTH_COLOUR)
    return drawn
