"""UniGeoSeg's evaluator of GeoSeg-Bench."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import TENTHS, Protocol, register

register(
    Protocol(
        name="geoseg-bench",
        title="GeoSeg-Bench (UniGeoSeg)",
        rank=90,
        configs=("geoseg-bench",),
        paper="UniGeoSeg, arXiv 2511.23332",
        evaluator="github.com/MiliLab/UniGeoSeg, unigeoseg/eval_and_test/eval.py, dataset_type RSRS",
        grid=Grid("letterbox", 512),
        epsilon=1e-5,
        cumulative_epsilon=1e-10,
        thresholds=TENTHS,
        explanation="The same script as unigeoseg, so the rules are the same, on the samples of GeoSeg-Bench: masks "
        "are letterboxed to 512 x 512, and only the first question of a file is scored. In the labels, 255 is the "
        "target and not a pixel to ignore. The option `rsvg`, which replaces each predicted mask by the bounding box "
        "of its largest part, is left out here: that step belongs to the model.",
    )
)
