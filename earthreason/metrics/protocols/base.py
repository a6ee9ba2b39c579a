"""The declaration of a protocol, and the registry of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from earthreason.errors import UnknownNameError
from earthreason.masks.grids import Grid

QuestionPolicy = Literal["first", "random", "all"]
TENTHS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A complete set of scoring rules. `register` it in the file that defines it.

    Attributes:
        name: unique name, accepted by `--protocol`.
        title: name shown to readers.
        paper: paper that published the evaluator.
        evaluator: public code that the rules describe.
        grid: grid on which masks are compared.
        rank: position in lists of protocols, lowest first.
        questions: questions of a sample that are scored; `random` draws one per sample from a seed.
        both_empty_iou: IoU where neither the prediction nor the target has a pixel on the grid.
        count_false_positive_area: whether a prediction on an empty target adds its area to the union of cIoU.
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
    rank: int = 100
    questions: QuestionPolicy = "first"
    both_empty_iou: float = 1.0
    count_false_positive_area: bool = True
    epsilon: float = 0.0
    cumulative_epsilon: float = 0.0
    thresholds: tuple[float, ...] = ()
    threshold_inclusive: bool = False
    precision_on_targets_only: bool = False
    float_type: Literal["float32", "float64"] = "float64"
    missing: str = "cannot happen: the model runs inside the evaluator"
    explanation: str = ""


PROTOCOLS: dict[str, Protocol] = {}
"""Registered protocols by name, in the order of their ranks."""


def register(protocol: Protocol) -> Protocol:
    """Add a protocol to `PROTOCOLS`.

    Raises:
        ValueError: the name is taken.
    """
    if protocol.name in PROTOCOLS:
        raise ValueError(f"there is already a protocol {protocol.name!r}")
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
    try:
        return PROTOCOLS[protocol]
    except KeyError:
        raise UnknownNameError("protocol", protocol, PROTOCOLS) from None
