"""Protocols: what a published evaluator does, as data.

A protocol changes no code; it names the grid, which question is asked, and how the empty cases count. Figures from two
protocols do not compare, and that is the point of writing them down. A new protocol is one more entry below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from earthreason.errors import UnknownNameError
from earthreason.masks.grids import Grid

QuestionPolicy = Literal["first", "random", "all"]
TENTHS = (0.5, 0.6, 0.7, 0.8, 0.9)


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
        both_empty_iou: IoU where neither the prediction nor the target has a pixel on the grid.
        count_false_positive_area: whether a prediction on an empty target adds its area to the union of cIoU.
        epsilon: added to each sample's union before dividing.
        cumulative_epsilon: added to the summed union of cIoU.
        thresholds: the X of Pr@X; empty where the evaluator does not compute it.
        threshold_inclusive: IoU >= X counts, instead of IoU > X.
        precision_on_targets_only: Pr@X leaves out samples whose target is empty.
        float_type: the width in which the evaluator divides.
        missing: what the evaluator does with a question nobody answered. Ours refuses, unless told to score it empty.
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
    thresholds: tuple[float, ...] = ()
    threshold_inclusive: bool = False
    precision_on_targets_only: bool = False
    float_type: Literal["float32", "float64"] = "float64"
    missing: str = "cannot happen: the model runs inside the evaluator"
    explanation: str = ""


_ALL = (
    Protocol(
        name="segearth-r1",
        title="SegEarth-R1 (official)",
        paper="SegEarth-R1, arXiv 2504.09644",
        evaluator="github.com/earth-insights/SegEarth-R1, eval_and_test/eval.py",
        grid=Grid("letterbox", 1024),
        epsilon=1e-5,
        cumulative_epsilon=1e-10,
        thresholds=TENTHS,
        float_type="float32",
        explanation="The protocol of the EarthReason paper. Every image weighs the same 1024 x 1024 canvas and padding "
        "counts as background; only the first question is asked; an empty answer to an empty target scores 1 and is a "
        "hit at every Pr@X; a mask on an empty target scores 0 and adds its area to the union of cIoU.",
    ),
    Protocol(
        name="native",
        title="Native resolution",
        paper="this package",
        evaluator="earthreason",
        grid=Grid("native"),
        thresholds=TENTHS,
        missing="refused, or scored as empty with --missing empty",
        explanation="The rules of segearth-r1 at each image's own size and without epsilons, so that nothing is "
        "resampled. Large images dominate cIoU here.",
    ),
    Protocol(
        name="unigeoseg",
        title="UniGeoSeg",
        paper="UniGeoSeg, arXiv 2511.23332",
        evaluator="github.com/MiliLab/UniGeoSeg",
        grid=Grid("letterbox", 512),
        epsilon=1e-5,
        cumulative_epsilon=1e-10,
        thresholds=TENTHS,
        float_type="float32",
        explanation="The segearth-r1 evaluator on a 512 x 512 canvas: thin and small targets lose pixels, so their IoU "
        "is coarser.",
    ),
    Protocol(
        name="think2seg-rs",
        title="Think2Seg-RS",
        paper="Think2Seg-RS, arXiv 2512.19302",
        evaluator="github.com/Ricardo-XZ/Think2Seg-RS",
        grid=Grid("stretch", 840),
        questions="random",
        count_false_positive_area=False,
        missing="an answer that cannot be parsed scores 0 and adds the target's area",
        explanation="Masks are stretched to 840 x 840 without keeping the aspect; one question per image is drawn at "
        "random (here by --seed; their draw cannot be repeated); a mask on an empty target costs 0 in gIoU and nothing "
        "in cIoU, so false positives are free there. Needs an answer to every question that may be drawn.",
    ),
    Protocol(
        name="geo-r1",
        title="Geo-R1",
        paper="Geo-R1, arXiv 2509.21976",
        evaluator="github.com/Geo-R1/geo-r1",
        grid=Grid("native"),
        questions="all",
        both_empty_iou=0.0,
        missing="an answer that raises an error scores 0",
        explanation="Native size, every question of every image; an empty answer to an empty target scores 0, so a "
        "model that refuses rightly loses a full sample. Their code also clips a mask to the predicted box; a "
        "predictions file holds the final mask, so that belongs to the model.",
    ),
    Protocol(
        name="lisa",
        title="LISA / ReasonSeg",
        paper="LISA, arXiv 2308.00692",
        evaluator="github.com/dvlab-research/LISA, train_ds.py validate",
        grid=Grid("native"),
        epsilon=1e-5,
        cumulative_epsilon=1e-10,
        float_type="float32",
        explanation="Native size, the first question; IoU is I / (U + 1e-5) and 1 where the union is 0. Pr@X is not "
        "computed. Their multi-GPU runs repeat samples to fill the last batch; here every sample counts once.",
    ),
    Protocol(
        name="grefcoco",
        title="GRES (ReLA)",
        paper="GRES: Generalized Referring Expression Segmentation, arXiv 2306.00968",
        evaluator="github.com/henghuiding/ReLA, gres_model/evaluation/refer_evaluation.py",
        grid=Grid("native"),
        questions="all",
        thresholds=(0.7, 0.8, 0.9),
        threshold_inclusive=True,
        precision_on_targets_only=True,
        explanation="Native size, every expression. gIoU takes 1 for a no-target sample called so and 0 otherwise; a "
        "wrong mask adds its area to the union of cIoU; Pr@X is over samples with a target only and includes equality. "
        "ReLA reads 'no target' from a head of its own; here an answer without pixels is that.",
    ),
    Protocol(
        name="rrsis-d",
        title="RRSIS-D (LAVT, RMSIN)",
        paper="RMSIN, arXiv 2312.12470",
        evaluator="github.com/Lsan2401/RMSIN, test.py",
        grid=Grid("stretch", 480),
        questions="all",
        both_empty_iou=0.0,
        thresholds=TENTHS,
        threshold_inclusive=True,
        explanation="Masks are stretched to 480 x 480; mIoU is our gIoU and oIoU our cIoU; a union of 0 scores 0; Pr@X "
        "includes equality. The set has no empty targets; on EarthReason right refusals score 0.",
    ),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
SEGEARTH_R1 = PROTOCOLS["segearth-r1"]
NATIVE = PROTOCOLS["native"]
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
