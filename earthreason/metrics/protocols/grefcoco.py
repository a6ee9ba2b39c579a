"""ReLA's evaluator of gRefCOCO (generalized referring expression segmentation)."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="grefcoco",
        title="GRES (ReLA)",
        rank=60,
        paper="GRES: Generalized Referring Expression Segmentation, arXiv 2306.00968",
        evaluator="github.com/henghuiding/ReLA, gres_model/evaluation/refer_evaluation.py",
        grid=Grid("native"),
        questions="all",
        thresholds=(0.7, 0.8, 0.9),
        threshold_inclusive=True,
        precision_on_targets_only=True,
        explanation="Masks are compared at native size, for every expression. On an empty target, the IoU is 1 if the "
        "answer is 'no target', else 0, and a wrong mask adds its area to the union of cIoU. Pr@X covers only samples "
        "with a target and counts an IoU equal to X. ReLA predicts 'no target' with a separate head; here, an answer "
        "without pixels means 'no target'.",
    )
)
