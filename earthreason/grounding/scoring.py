"""Scores of answers in words, one question at a time, in states that merge.

A state is JSON, so that an evaluation harness can log it and gather it from several processes. The masks are counted by
`RegionAccumulator`, so the scores are those of `earthreason.evaluate` for the same masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from PIL import Image

from earthreason.data.schema import sample_of_row
from earthreason.errors import EarthReasonError
from earthreason.grounding.answers import Target, place, read_answer
from earthreason.grounding.drawing import fill_targets, pixel_of
from earthreason.grounding.profiles import Profile
from earthreason.masks.rle import decode_rle, encode_mask
from earthreason.metrics.accumulator import RegionAccumulator
from earthreason.metrics.protocols import DEFAULT_PROTOCOL, get_protocol
from earthreason.metrics.protocols import Protocol as Rules
from earthreason.metrics.values import MaskLike
from earthreason.plurals import count_of
from earthreason.types import RLE

_OF_MASKS = {"Acc@0.5": "box_acc", "gIoU": "box_giou", "cIoU": "box_ciou", "N-acc": "n_acc", "T-acc": "t_acc"}
_OF_DRAWN_MASKS = {"gIoU": "mask_giou", "cIoU": "mask_ciou"}
SCORES = (*_OF_MASKS.values(), "point_hit", "unreadable", *_OF_DRAWN_MASKS.values())
"""Names of all scores; docs/howto/harnesses.md says what they mean."""


class Drawer(Protocol):
    """Something that makes a mask of regions, such as SAM."""

    name: str

    def draw(self, image: Image.Image, targets: list[Target]) -> np.ndarray:
        """Return the union of the regions' masks, (height, width) bool; raise ValueError if it cannot be drawn."""
        ...


@dataclass(frozen=True)
class AskedQuestion:
    """One question about one image, with its ground truth.

    Attributes:
        sample_id: id of the image.
        question_index: index of the question about the image.
        question: text of the question.
        truth: masks of the separate targets; one if there is one target or none.
        ignore: pixels that count nowhere; None if there are none.
    """

    sample_id: str
    question_index: int
    question: str
    truth: list[RLE]
    ignore: RLE | None = None

    @classmethod
    def of_row(cls, row: dict[str, Any], question_index: int = 0) -> AskedQuestion:
        """Take a question of a decoded row of the dataset.

        Raises:
            DataFormatError: the labels of the split are hidden.
            EarthReasonError: the row has no question of that index.
        """
        sample = sample_of_row(row)
        if not 0 <= question_index < len(sample.questions):
            raise EarthReasonError(
                f"sample {sample.sample_id!r} has {count_of(len(sample.questions), 'question')}, and none of index "
                f"{question_index}"
            )
        truth = [encode_mask(mask) for mask in sample.targets or [sample.mask]]
        ignore = None if sample.ignore is None else encode_mask(sample.ignore)
        return cls(sample.sample_id, question_index, sample.questions[question_index], truth, ignore)

    def to_dict(self) -> dict[str, Any]:
        """Return the question as JSON values; `AskedQuestion(**values)` is its inverse."""
        return asdict(self)

    @property
    def height(self) -> int:
        return self.truth[0]["size"][0]

    @property
    def width(self) -> int:
        return self.truth[0]["size"][1]


def read_targets(text: str, profile: Profile, width: int, height: int) -> list[Target]:
    """Read the regions of an answer in fractions of the image; an empty list is "no target".

    Args:
        text: answer of the model.
        profile: how the model gives coordinates.
        width: width of the image at its own size, pixels.
        height: height of that image, pixels.

    Raises:
        ValueError: the answer has no region and does not say that there is none, or a region is not in the image.
    """
    try:
        return place(read_answer(text, profile.y_first), profile, *profile.sent_size(width, height))
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def score_answer(
    text: str,
    asked: AskedQuestion,
    profile: Profile,
    protocol: str = DEFAULT_PROTOCOL,
    drawer: Drawer | None = None,
    image: Image.Image | None = None,
) -> dict[str, Any]:
    """Score an answer; return its state as JSON values, for `summarize`.

    An answer that cannot be read is wrong whatever the target is, and never raises.

    Args:
        text: answer of the model.
        asked: the question.
        profile: how the model gives coordinates.
        protocol: name of the scoring rules.
        drawer: makes masks of the regions; None scores only the filled boxes.
        image: the image at its own size, for `drawer`.

    Raises:
        UnknownNameError: no protocol has that name.
        EarthReasonError: there is a drawer, but no image, or the protocol scores only the first question of an image.
    """
    rules = get_protocol(protocol)
    if rules.questions == "first" and asked.question_index > 0:
        raise EarthReasonError(
            f"protocol {rules.name} scores the first question of an image, not that of index {asked.question_index}"
        )
    if drawer is not None and image is None:
        raise EarthReasonError(f"{drawer.name} needs the image to make masks; pass it")
    failure, targets, drawn = None, [], None
    try:
        targets = read_targets(text, profile, asked.width, asked.height)
        if drawer is not None and image is not None and targets:
            drawn = drawer.draw(image, targets)
    except ValueError as error:
        failure, targets = str(error), []
    filled = fill_targets(targets, asked.width, asked.height) if targets else None
    state = {
        "settings": {"coordinates": profile.name, "protocol": rules.name, "masks": drawer.name if drawer else "boxes"},
        "failure": failure,
        "boxes": _count(asked, filled, failure, rules),
        "point_hit": _share_of_hits(asked, targets),
    }
    return state if drawer is None else {**state, "masks": _count(asked, drawn, failure, rules)}


def summarize(states: Iterable[Mapping[str, Any]]) -> dict[str, float | None]:
    """Merge states and return the scores as fractions, by name; None where undefined.

    Raises:
        EarthReasonError: there are no states, or they have different settings.
    """
    listed = list(states)
    if not listed:
        raise EarthReasonError("no answers to score: no question was asked")
    settings = listed[0]["settings"]
    for state in listed:
        if state["settings"] != settings:
            raise EarthReasonError(
                f"answers of different settings cannot be merged: {settings} and {state['settings']}"
            )
    scores = dict.fromkeys(SCORES)
    for key, names in (("boxes", _OF_MASKS), ("masks", _OF_DRAWN_MASKS)):
        if key in listed[0]:
            found = merge_counts(listed, key).compute(settings["protocol"])
            scores |= {name: found.get(metric) for metric, name in names.items()}
    scores["point_hit"] = _mean([s["point_hit"] for s in listed if s["point_hit"] is not None])
    scores["unreadable"] = _mean([s["failure"] is not None for s in listed])
    return scores


def merge_counts(states: Iterable[Mapping[str, Any]], key: str = "boxes") -> RegionAccumulator:
    """Merge the region counts of states: of the filled `boxes`, or of the `masks` that a drawer made.

    Raises:
        EarthReasonError: there are no states.
        DataFormatError: a state was damaged.
    """
    merged: RegionAccumulator | None = None
    for part in map(RegionAccumulator.from_dict, (state[key] for state in states)):
        merged = part if merged is None else merged.merge(part)
    if merged is None:
        raise EarthReasonError("no answers to score: no question was asked")
    return merged


def _count(asked: AskedQuestion, mask: np.ndarray | None, failure: str | None, rules: Rules) -> dict[str, Any]:
    judge = RegionAccumulator(rules)
    update = partial(judge.update, question_index=asked.question_index, ignore=asked.ignore)
    truth: list[MaskLike] = [*asked.truth]
    update(asked.sample_id, mask, truth, failed=failure is not None)
    return judge.to_dict()


def _share_of_hits(asked: AskedQuestion, targets: list[Target]) -> float | None:
    """Return the share of the points that lie on the target; None if the target is empty.

    A region without points is represented by the centre of its box.
    """
    truth = np.any([decode_rle(rle) for rle in asked.truth], axis=0)
    if not truth.any():
        return None
    points = [point for target in targets for point in target.points or [_centre(target)]]
    return _mean([bool(truth[pixel_of(point, asked.width, asked.height)]) for point in points]) or 0.0


def _centre(target: Target) -> list[float]:
    left, top, right, bottom = target.box or (0.0, 0.0, 0.0, 0.0)
    return [(left + right) / 2, (top + bottom) / 2]


def _mean(values: list[Any]) -> float | None:
    return sum(values) / len(values) if values else None
