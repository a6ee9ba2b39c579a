"""Figures of samples: picture, mask, outline, texts."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from earthreason.data.pictures import mask_of
from earthreason.data.schema import Record
from earthreason.errors import EarthReasonError
from earthreason.overlay import TRUTH_COLOUR, draw_overlay, outline_mask, shrink_mask
from earthreason.reports.svg import save_figure

FORMATS = ("png", "pdf", "svg")


def draw_samples(records: Sequence[Record], out: Path) -> None:
    """Draw one row per sample: image, tinted target, outlined target; questions and answers below.

    Raises:
        EarthReasonError: the ending of the file is not a supported format.
    """
    from matplotlib.figure import Figure

    form = out.suffix.lstrip(".").lower()
    if form not in FORMATS:
        raise EarthReasonError(f"{out}: pictures are written as {', '.join('.' + name for name in FORMATS)}")
    texts = [_texts(record) for record in records]
    heights = [4.2 + 0.17 * text.count("\n") for text in texts]
    figure = Figure(figsize=(11, sum(heights)), layout="constrained")
    grid = figure.subfigures(len(records), 1, height_ratios=heights, squeeze=False)
    for part, record, text in zip(grid[:, 0], records, texts, strict=True):
        axes = part.subplots(1, 3)
        for axis, picture in zip(axes, pictures_of(record), strict=True):
            axis.imshow(picture)
            axis.set_axis_off()
        part.suptitle(_heading(record), fontsize=10, x=0.01, ha="left")
        part.supxlabel(text, fontsize=8, x=0.01, ha="left")
    save_figure(figure, out, form, dpi=110)


def pictures_of(record: Record, side: int = 512) -> tuple[Image.Image, Image.Image, Image.Image]:
    """Draw the image, its target tinted, and its target outlined, with sides of at most `side` pixels."""
    with Image.open(io.BytesIO(record.image)) as opened:
        image = opened.convert("RGB")
    mask = mask_of(record.mask, Path(record.sample_id))
    plain = draw_overlay(image, None, TRUTH_COLOUR, side=side)
    tinted = draw_overlay(image, mask, TRUTH_COLOUR, side=side)
    return plain, tinted, outline_mask(plain, shrink_mask(mask, plain.size), TRUTH_COLOUR)


def _heading(record: Record) -> str:
    facts = [record.sample_id, f"{record.width} x {record.height} px"]
    facts += [record.category] if record.category else []
    facts += [f"{record.ground_resolution:g} m per pixel"] if record.ground_resolution else []
    facts += ["no target"] if record.is_empty else []
    return " · ".join(facts)


def _texts(record: Record) -> str:
    lines = [f"Q{n}  {question}" for n, question in enumerate(record.questions, start=1)]
    lines += [f"A{n}  {answer}" for n, answer in enumerate(record.answers, start=1)]
    return "\n".join(part for line in lines for part in textwrap.wrap(line, 130, subsequent_indent="      "))
