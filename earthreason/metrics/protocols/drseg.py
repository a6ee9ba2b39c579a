"""PixDLM's evaluator of DRSeg."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="drseg",
        title="DRSeg (PixDLM)",
        rank=100,
        configs=("drseg",),
        paper="PixDLM, arXiv 2604.15670",
        evaluator="github.com/XIEFOX/PixDLM, eval.py validate",
        grid=Grid("native"),
        ignore=True,
        epsilon=1e-5,
        cumulative_epsilon=1e-10,
        float_type="float32",
        explanation="LISA's rules: masks are compared at native size, for the first question only, with the instances "
        "of an image merged into one mask. The IoU is I / (U + 1e-5), or 1 if the union is 0. Pixels that the ground "
        "truth ignores count nowhere. Pr@X is not computed.",
    )
)
