"""UniGeoSeg's evaluator."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import TENTHS, Protocol, register

register(
    Protocol(
        name="unigeoseg",
        title="UniGeoSeg",
        rank=20,
        paper="UniGeoSeg, arXiv 2511.23332",
        evaluator="github.com/MiliLab/UniGeoSeg, unigeoseg/eval_and_test/eval.py",
        grid=Grid("letterbox", 512),
        epsilon=1e-5,
        cumulative_epsilon=1e-10,
        thresholds=TENTHS,
        explanation="The rules of segearth-r1 on a 512 x 512 canvas. Thin and small targets lose pixels there, so "
        "their IoU is less precise.",
    )
)
