"""SegEarth-R1's evaluator, which scored the EarthReason paper."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import TENTHS, Protocol, register

register(
    Protocol(
        name="segearth-r1",
        title="SegEarth-R1 (official)",
        rank=0,
        paper="SegEarth-R1, arXiv 2504.09644",
        evaluator="github.com/earth-insights/SegEarth-R1, segearth_r1/eval_and_test/eval.py",
        grid=Grid("letterbox", 1024),
        epsilon=1e-5,
        cumulative_epsilon=1e-10,
        thresholds=TENTHS,
        explanation="The protocol of the EarthReason paper. Masks are letterboxed to 1024 x 1024, and the padding "
        "counts as background. Only the first question is scored. An empty answer to an empty target scores 1 and is a "
        "hit at every Pr@X. A mask on an empty target scores 0 and adds its area to the union of cIoU.",
    )
)
