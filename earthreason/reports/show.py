"""Draw a row for people: image, ground truth, predictions and questions, in a notebook or a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from earthreason.data.pictures import mask_of, open_picture
from earthreason.data.schema import PICTURES, TARGETS, sample_of_row
from earthreason.errors import EarthReasonError, show_value
from earthreason.geo.texts import printable
from earthreason.masks.rle import decode_rle
from earthreason.metrics.evaluate import evaluate
from earthreason.metrics.values import MaskLike, as_rles, unite_targets
from earthreason.overlay import PREDICTION_COLOUR, TRUTH_COLOUR, draw_overlay, outline_mask, shrink_mask
from earthreason.plurals import count_of
from earthreason.reports.page import embed_image, render
from earthreason.reports.samples import Part, compose, describe, list_texts, save_parts
from earthreason.types import Sample

_SIDE = 512
_GREY = 120
"""What a quarter of a pixel that counts nowhere is added to."""
_ONE = "row"
_NEEDED = ("image", "questions")
_TEXTS = ("questions", "answers")


@dataclass(frozen=True)
class Shown:
    """A drawn row. Jupyter displays it when it is the last value of a cell; `display(shown)` does so anywhere.

    Attributes:
        sample: the row.
        heading: id, size and known facts in a line.
        panels: captions and pictures, from left to right.
    """

    sample: Sample
    heading: str
    panels: list[tuple[str, Image.Image]]

    def save(self, path: str | Path) -> Path:
        """Write the picture as .png, .pdf or .svg, and return its path.

        Raises:
            EarthReasonError: the ending of the path is not one of these.
        """
        path = Path(path)
        save_parts([self._part], path)
        return path

    @property
    def _part(self) -> Part:
        return Part(self.heading, self.panels, list_texts(self.sample))

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        compose([self._part]).savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        panels = [{"caption": caption, "src": embed_image(picture)} for caption, picture in self.panels]
        page = render("show.html", heading=self.heading, sample=self.sample, panels=panels)
        return printable(page)  # a notebook is UTF-8

    def __repr__(self) -> str:
        count = count_of(len(self.sample.questions), "question")
        return f"<{printable(self.heading)} · {count}; save('sample.png') writes the picture>"


def show(row: Mapping[str, Any] | Sample, /, **predictions: MaskLike | None) -> Shown:
    """Draw a row: image, ground truth, predictions, questions and answers.

    Ground truth is green, predictions are orange, and pixels that count nowhere are grey. The caption of a prediction
    has its IoU under the official protocol. No display is needed.

    Args:
        row: row of any configuration and any related set, or a sample. A row without ground truth, such as one whose
            labels are hidden, is drawn without it.
        **predictions: mask of each model by its name, as `evaluate` takes masks; None for "no target". Write
            `show(row, **{"My model": mask})` for a name that is not an identifier.

    Raises:
        EarthReasonError: the value is not a row, or a mask has an invalid form or another size than the image.
    """
    sample, known = _sample_of(row)
    panels = [("image", draw_overlay(sample.image, None, TRUTH_COLOUR, side=_SIDE))]
    if known:
        panels.append(("ground truth" + (": no target" if sample.is_empty else ""), _draw_truth(sample)))
    for name, mask in predictions.items():
        panels.append(_draw_prediction(sample, name, mask, known))
    return Shown(sample, describe(sample, known), panels)


def _sample_of(row: Mapping[str, Any] | Sample) -> tuple[Sample, bool]:
    """Return the sample of a row, and whether its ground truth is known."""
    if isinstance(row, Sample):
        return row, True
    if not isinstance(row, Mapping) or not all(row.get(name) is not None for name in _NEEDED):
        raise EarthReasonError(
            f"show takes one row, such as `test[0]` of a loaded split, or a sample, not {show_value(row)}"
        )
    if isinstance(row["image"], list):
        raise EarthReasonError("show takes one row, such as `test[0]`; these are several, such as `test[:3]` gives")
    decoded = {name: _decoded(row.get(name), name) for name in PICTURES}
    if isinstance(decoded["image"], np.ndarray):
        decoded["image"] = Image.fromarray(decoded["image"])
    if not isinstance(decoded["image"], Image.Image):
        raise EarthReasonError(f"the image of a row is a picture or an array, not {show_value(decoded['image'])}")
    targets = [_decoded(target, "mask") for target in row.get(TARGETS) or ()]
    width, height = decoded["image"].size
    for name, mask in [("mask", decoded["mask"]), ("ignore", decoded["ignore"]), *((TARGETS, one) for one in targets)]:
        if mask is not None and (shape := np.shape(mask)) != (height, width):
            given = " x ".join(map(str, shape))
            raise EarthReasonError(
                f"{name} of the row is {given} (height x width), but its image is {height} x {width}"
            )
    known = decoded["mask"] is not None
    if not known:
        decoded["mask"] = Image.new("L", (width, height))
    texts = {name: [found] if isinstance(found := row.get(name), str) else found or [] for name in _TEXTS}
    complete = {"sample_id": ""} | dict(row) | texts | decoded | {TARGETS: targets}
    return sample_of_row(complete), known


def _decoded(picture: Any, name: str) -> Any:
    """Decode a picture that the dataset left encoded; others are returned as they are."""
    if not isinstance(picture, Mapping):
        return picture
    stored = picture.get("bytes")
    content = Path(picture["path"]).read_bytes() if stored is None else stored
    if name == "image":
        return open_picture(content)
    return Image.fromarray(mask_of(content, Path(name)).astype(np.uint8) * 255)


def _draw_truth(sample: Sample) -> Image.Image:
    drawn = draw_overlay(sample.image, sample.mask, TRUTH_COLOUR, side=_SIDE)
    for target in sample.targets:  # neighbours that touch keep a line between them
        drawn = outline_mask(drawn, shrink_mask(target, drawn.size), TRUTH_COLOUR)
    if sample.ignore is None or not sample.ignore.any():
        return drawn
    pixels = np.array(drawn)
    ignored = shrink_mask(sample.ignore, drawn.size) & ~shrink_mask(sample.mask, drawn.size)
    pixels[ignored] = pixels[ignored] // 4 + _GREY
    return Image.fromarray(pixels)


def _draw_prediction(sample: Sample, name: str, mask: Any, known: bool) -> tuple[str, Image.Image]:
    try:
        decoded = None if mask is None else decode_rle(unite_targets(as_rles(mask))[0])
    except EarthReasonError as error:
        raise EarthReasonError(f"{name}: {error}") from None
    if decoded is not None and decoded.shape != sample.mask.shape:
        given, wanted = (f"{shape[0]} x {shape[1]}" for shape in (decoded.shape, sample.mask.shape))
        raise EarthReasonError(f"{name}: the mask is {given} (height x width), but the image is {wanted}")
    caption = name if decoded is not None and decoded.any() else f"{name}: no target"
    if known:
        scored = evaluate({_ONE: decoded}, [replace(sample, sample_id=_ONE)], resamples=0)
        caption += f" · IoU {scored.per_sample['iou'].iloc[0]:.2f}"
    return caption, draw_overlay(sample.image, decoded, PREDICTION_COLOUR, side=_SIDE)
