"""The rules of SegEarth-R1 at each image's own size."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import TENTHS, Protocol, register

register(
    Protocol(
        name="native",
        title="Native resolution",
        rank=10,
        paper="this package",
        evaluator="earthreason",
        grid=Grid("native"),
        ignore=True,
        thresholds=TENTHS,
        missing="refused, or scored as empty with --missing empty",
        explanation="The rules of segearth-r1 without epsilons, at each image's own size, so no mask is resampled. "
        "Pixels that the ground truth ignores count nowhere. Large images dominate cIoU.",
    )
)
