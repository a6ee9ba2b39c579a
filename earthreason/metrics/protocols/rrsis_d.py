"""RMSIN's evaluator of RRSIS-D, from LAVT."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import TENTHS, Protocol, register

register(
    Protocol(
        name="rrsis-d",
        title="RRSIS-D (LAVT, RMSIN)",
        rank=70,
        configs=("rrsis-d", "refsegrs"),  # RefSegRS: the evaluate of its own train.py has the same rules
        paper="RMSIN, arXiv 2312.12470",
        evaluator="github.com/Lsan2401/RMSIN, test.py",
        grid=Grid("stretch", 480),
        questions="all",
        both_empty_iou=0.0,
        thresholds=TENTHS,
        threshold_inclusive=True,
        explanation="Masks are stretched to 480 x 480. RMSIN calls gIoU mIoU, and cIoU oIoU. The IoU is 0 if the union "
        "is 0, and Pr@X counts an IoU equal to X. RRSIS-D has no empty targets; on EarthReason, a correct 'no target' "
        "scores 0.",
    )
)
