"""Protocols: what a published evaluator does, as data.

A protocol changes no code; it names the grid, which question is asked, and how the empty cases count. Figures from two
protocols do not compare, and that is the point of writing them down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from earthreason.errors import UnknownNameError
from earthreason.masks.grids import Grid

QuestionPolicy = Literal["first", "random", "all"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way of scoring.

    Attributes:
        name: what `--protocol` takes.
        title: what a reader calls it.
        paper: where it was published.
        evaluator: the public code it describes.
        grid: where masks are compared.
        questions: which questions of a sample are scored; `random` draws one per sample, seeded.
        both_empty_iou: IoU of an empty prediction on an empty target.
        count_false_positive_area: whether a prediction on an empty target adds its area to the union of cIoU.
        epsilon: added to each sample's union before dividing.
        cumulative_epsilon: added to the summed union of cIoU.
        thresholds: the X of Pr@X.
        threshold_inclusive: IoU >= X counts, instead of IoU > X.
        precision_on_targets_only: Pr@X leaves out samples whose target is empty.
        float_type: the width in which the evaluator divides.
        missing: what the evaluator does with a question nobody answered. Ours always refuses first.
        explanation: what a reader has to know when comparing figures.
    """

    name: str
    title: str
    paper: str
    evaluator: str
    grid: Grid
    questions: QuestionPolicy = "first"
    both_empty_iou: float = 1.0
    count_false_positive_area: bool = True
    epsilon: float = 0.0
    cumulative_epsilon: float = 0.0
    thresholds: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9)
    threshold_inclusive: bool = False
    precision_on_targets_only: bool = False
    float_type: Literal["float32", "float64"] = "float64"
    missing: str = "not handled: every sample is predicted inside the evaluation loop"
    explanation: str = ""


SEGEARTH_R1 = Protocol(
    name="segearth-r1",
    title="SegEarth-R1 (official)",
    paper="SegEarth-R1, arXiv 2504.09644",
    evaluator="github.com/earth-insights/SegEarth-R1, eval_and_test/eval.py",
    grid=Grid("letterbox", 1024),
    epsilon=1e-5,
    cumulative_epsilon=1e-10,
    float_type="float32",
    explanation="The protocol of the EarthReason paper. Every image weighs the same 1024 x 1024 canvas, padding counts "
    "as background, only the first question is asked, an empty answer to an empty target scores 1 and enters Pr@X as "
    "a hit, and a mask on an empty target scores 0 and adds its area to the union of cIoU.",
)

NATIVE = Protocol(
    name="native",
    title="Native resolution",
    paper="this package",
    evaluator="earthreason",
    grid=Grid("native"),
    explanation="The rules of segearth-r1 at each image's own size and without epsilons, so that nothing is resampled. "
    "Large images dominate cIoU here.",
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (SEGEARTH_R1, NATIVE)}
DEFAULT_PROTOCOL = SEGEARTH_R1.name


def get_protocol(name: str) -> Protocol:
    """Look a protocol up.

    Raises:
        UnknownNameError: no protocol has that name.
    """
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise UnknownNameError("protocol", name, PROTOCOLS) from None
