"""SegEarth-R2's evaluator of LaSeRS."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="lasers",
        title="LaSeRS (SegEarth-R2)",
        rank=80,
        configs=("lasers",),
        paper="SegEarth-R2, arXiv 2512.20013",
        evaluator="github.com/earth-insights/SegEarth-R2, segearth_r2/eval/eval.py",
        grid=Grid("corner", 1024),
        stretch_truth=True,
        unit="mask",
        questions="all",
        explanation="Every true mask is scored on its own: it is compared with the predicted mask of the same number. "
        "If there are too few predicted masks, the last is repeated; surplus ones are left out; an answer without a "
        "mask counts as zeros. The predicted masks are on the padded 1024 x 1024 image, with the padding below and on "
        "the right, but the true masks are stretched to 1024 x 1024 bilinearly and set where the value is above 0. So "
        "their edges grow, and on an image that is not square even a perfect mask scores below 1. The evaluator prints "
        "gIoU for each annotation file, and cIoU in some versions only.",
    )
)
