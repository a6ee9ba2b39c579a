"""The declaration of a protocol, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from earthreason.errors import EarthReasonError, UnknownNameError
from earthreason.masks.grids import Grid

QuestionPolicy = Literal["first", "random", "all"]
"""Which questions of a sample are scored."""
Unit = Literal["question", "mask"]
"""What a score is averaged over."""
TENTHS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""The usual thresholds of Pr@X."""


@dataclass(frozen=True)
class View:
    """What is counted for a protocol. Protocols with the same view share their counts.

    Attributes:
        grid, stretch_truth, unit, ignore: as in `Protocol`.
    """

    grid: Grid
    stretch_truth: bool = False
    unit: Unit = "question"
    ignore: bool = False

    @property
    def name(self) -> str:
        """Name in files."""
        parts = {"stretched-truth": self.stretch_truth, "masks": self.unit == "mask", "ignore": self.ignore}
        return "+".join([self.grid.name, *(part for part, applies in parts.items() if applies)])

    def accepts(self, grid: Grid) -> bool:
        """Return whether masks on `grid` can be counted."""
        # The two letterboxes of one side differ in the place of the padding, and by at most one row.
        moved = grid == Grid("letterbox", self.grid.side) and self.grid.kind == "corner"
        return grid.kind == "native" or grid == self.grid or moved


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A complete set of scoring rules. `register` it in the file that defines it.

    Attributes:
        name: unique name, accepted by `--protocol`.
        title: name shown to readers.
        paper: paper that published the evaluator.
        evaluator: public code that the rules describe.
        grid: grid on which masks are compared.
        stretch_truth: whether the true masks are stretched to the side of `grid` instead, bilinearly, and a pixel is
            foreground if its value is above 0.
        unit: what is averaged. `mask` compares every true mask with the predicted mask of the same number: the last
            predicted mask is repeated if there are too few, and those after the last true mask are left out.
        ignore: whether the pixels that the ground truth ignores count nowhere; else they are background.
        rank: position in lists of protocols, lowest first.
        configs: configurations of `load_dataset` whose authors score by these rules; see `protocol_of`.
        questions: questions of a sample that are scored; `random` draws one per sample from a seed.
        both_empty_iou: IoU where neither the prediction nor the target has a pixel on the grid.
        empty_answer_needed: whether `both_empty_iou` is only for answers that are empty at their own size; a mask that
            merely vanishes on the grid then scores 0.
        count_false_positive_area: whether a prediction on a target that is empty on the grid adds its area to the
            union of cIoU.
        epsilon: constant added to each sample's union before the division.
        cumulative_epsilon: constant added to the summed union of cIoU.
        thresholds: every X of Pr@X; empty if the evaluator does not compute Pr@X.
        threshold_inclusive: whether Pr@X counts IoU >= X instead of IoU > X.
        precision_on_targets_only: whether Pr@X leaves out samples with an empty target.
        float_type: floating-point type in which the evaluator divides.
        missing: score of a question without a prediction in the evaluator. This package refuses such files unless
            `--missing empty` is given.
        explanation: summary of the rules, for readers who compare scores.
    """

    name: str
    title: str
    paper: str
    evaluator: str
    grid: Grid
    stretch_truth: bool = False
    unit: Unit = "question"
    ignore: bool = False
    rank: int = 1000
    configs: tuple[str, ...] = ()
    questions: QuestionPolicy = "first"
    both_empty_iou: float = 1.0
    empty_answer_needed: bool = False
    count_false_positive_area: bool = True
    epsilon: float = 0.0
    cumulative_epsilon: float = 0.0
    thresholds: tuple[float, ...] = ()
    threshold_inclusive: bool = False
    precision_on_targets_only: bool = False
    float_type: Literal["float32", "float64"] = "float64"
    missing: str = "cannot happen: the model runs inside the evaluator"
    explanation: str = ""

    def __post_init__(self) -> None:
        if self.ignore and self.stretch_truth:
            raise ValueError("a protocol that stretches the truth cannot ignore pixels: they have no place on its grid")

    @property
    def view(self) -> View:
        """What is counted for this protocol."""
        return View(self.grid, self.stretch_truth, self.unit, self.ignore)


PROTOCOLS: dict[str, Protocol] = {}
"""Registered protocols by name, in the order of their ranks."""


def register(protocol: Protocol) -> Protocol:
    """Add a protocol to `PROTOCOLS`.

    Raises:
        ValueError: the name is taken, or another protocol has one of the configurations.
    """
    if protocol.name in PROTOCOLS:
        raise ValueError(f"there is already a protocol {protocol.name!r}")
    for other in PROTOCOLS.values():
        if shared := sorted({*protocol.configs} & {*other.configs}):
            raise ValueError(f"protocol {protocol.name!r}: {other.name!r} has the config {shared[0]!r} already")
    in_order = sorted([*PROTOCOLS.values(), protocol], key=lambda each: each.rank)
    PROTOCOLS.clear()
    PROTOCOLS.update({each.name: each for each in in_order})
    return protocol


def get_protocol(protocol: str | Protocol) -> Protocol:
    """Look up a protocol by its name; return a `Protocol` unchanged.

    Raises:
        UnknownNameError: no protocol has that name.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if not isinstance(protocol, str) or protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", " ".join(str(protocol).split())[:80], PROTOCOLS)
    return PROTOCOLS[protocol]


def get_protocols(protocols: str | Protocol | Iterable[str | Protocol]) -> list[Protocol]:
    """Look up one or more protocols by their names.

    Raises:
        UnknownNameError: no protocol has one of the names.
        EarthReasonError: there are none.
    """
    listed: list[Any] = [protocols]
    if not isinstance(
        protocols, str | bytes | Protocol | set | frozenset
    ):  # the first protocol counts, and sets have no first
        with suppress(TypeError):
            listed = list(protocols)
    if not listed:
        raise EarthReasonError("pass at least one protocol")
    return list(map(get_protocol, listed))
