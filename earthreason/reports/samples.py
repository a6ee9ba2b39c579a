"""Figures of samples: picture, mask, outline, texts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from earthreason.data.pictures import mask_of
from earthreason.data.schema import Record
from earthreason.errors import EarthReasonError
from earthreason.overlay import TRUTH_COLOUR, draw_overlay, outline_mask, shrink_mask
from earthreason.reports.lettering import BOX, Lettering
from earthreason.reports.svg import save_figure
from earthreason.types import Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
_HEADING, _SMALL = 10, 8
"""Sizes of letters in points."""
_MOST_LINES = 200
"""Lines of text below a row of pictures, at most."""
_INCH = 3.6
"""Width of a panel."""
_TALLEST = 3.0
"""Height of a panel by its width, at most; higher pictures are drawn narrower."""


@dataclass(frozen=True)
class Part:
    """What a picture shows of a sample.

    Attributes:
        heading: line above the panels.
        panels: captions and pictures, from left to right.
        texts: lines below the panels, of any length.
    """

    heading: str
    panels: Sequence[tuple[str, Image.Image]]
    texts: Sequence[str]


def draw_samples(records: Sequence[Record], out: Path) -> None:
    """Draw one row per sample: image, tinted target, outlined target; questions and answers below.

    Raises:
        EarthReasonError: the ending of the file is not a supported format.
    """
    captions = ("image", "ground truth", "outline")
    parts = [
        Part(describe(record), list(zip(captions, pictures_of(record), strict=True)), list_texts(record))
        for record in records
    ]
    save_parts(parts, out)


def save_parts(parts: Sequence[Part], out: Path) -> None:
    """Write samples below each other to a file.

    Raises:
        EarthReasonError: the ending of the file is not a supported format.
    """
    form = out.suffix.lstrip(".").lower()
    if form not in FORMATS:
        raise EarthReasonError(f"{out}: pictures are written as {', '.join('.' + name for name in FORMATS)}")
    save_figure(compose(parts), out, form, dpi=110)


def compose(parts: Sequence[Part]) -> Figure:
    """Draw samples below each other."""
    from matplotlib.figure import Figure

    columns = max(len(part.panels) for part in parts)
    lettering = Lettering.of(text for part in parts for text in (part.heading, *part.texts, *dict(part.panels)))
    room = 72 * 0.92 * _INCH  # on a grid of pixels, small letters are some per cent wider than in points
    headings = ["\n".join(lettering.wrap(part.heading, columns * room, _HEADING)) for part in parts]
    texts = ["\n".join(_lines_of(part.texts, lettering, columns * room)) for part in parts]
    captions = [["\n".join(lettering.wrap(caption, room, _SMALL + 1)) for caption, _ in part.panels] for part in parts]
    # Without a limit, a picture 1 px wide and 500 px high is a figure of 46 m, of gigabytes.
    shapes = [min(_TALLEST, max(picture.height / picture.width for _, picture in part.panels)) for part in parts]
    heights = [
        0.65
        + _INCH * shape
        + 0.2 * (heading.count("\n") + max(caption.count("\n") for caption in above))
        + 0.145 * (text.count("\n") + 1)
        for shape, heading, above, text in zip(shapes, headings, captions, texts, strict=True)
    ]
    figure = Figure(figsize=(_INCH * columns, sum(heights)), layout="constrained")
    grid = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)
    font: dict[str, Any] = {"family": lettering.families}
    for place, part, heading, above, text in zip(grid[:, 0], parts, headings, captions, texts, strict=True):
        axes = place.subplots(1, columns, squeeze=False)[0]
        for axis in axes:
            axis.set_axis_off()
        for axis, caption, (_, picture) in zip(axes, above, part.panels, strict=False):
            axis.imshow(picture)
            axis.set_title(caption, fontsize=_SMALL + 1, **font)
        place.suptitle(heading, fontsize=_HEADING, x=0.01, ha="left", **font)
        place.supxlabel(text, fontsize=_SMALL, x=0.01, ha="left", **font)
    return figure


def _lines_of(texts: Sequence[str], lettering: Lettering, width: float) -> list[str]:
    """Break texts into lines, the most that a picture can have, and explain boxes."""
    lines = [line for text in texts for line in lettering.wrap(text, width, _SMALL, indent="      ")]
    lines = lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], f"… {len(lines) - _MOST_LINES} more lines"]
    return [*lines, f"{BOX}: a character that no font of this computer has"] if lettering.missing else lines


def pictures_of(record: Record, side: int = 512) -> tuple[Image.Image, Image.Image, Image.Image]:
    """Draw the image, its target tinted, and its target outlined, with sides of at most `side` pixels."""
    with Image.open(io.BytesIO(record.image)) as opened:
        image = opened.convert("RGB")
    mask = mask_of(record.mask, Path(record.sample_id))
    plain = draw_overlay(image, None, TRUTH_COLOUR, side=side)
    tinted = draw_overlay(image, mask, TRUTH_COLOUR, side=side)
    return plain, tinted, outline_mask(plain, shrink_mask(mask, plain.size), TRUTH_COLOUR)


def describe(sample: Record | Sample, labelled: bool = True) -> str:
    """Describe a sample in a line: id, size, and the facts that are known; its target only if it is `labelled`."""
    facts = [sample.sample_id] if sample.sample_id else []
    facts += [f"{sample.width} x {sample.height} px"]
    facts += [sample.category] if sample.category else []
    facts += [f"{sample.ground_resolution:g} m per pixel"] if sample.ground_resolution else []
    facts += ["no target"] if labelled and sample.is_empty else []
    return " · ".join(facts)


def list_texts(sample: Record | Sample) -> list[str]:
    """List the numbered questions and answers of a sample."""
    lines = [f"Q{n}  {question}" for n, question in enumerate(sample.questions, start=1)]
    return [*lines, *(f"A{n}  {answer}" for n, answer in enumerate(sample.answers, start=1))]
