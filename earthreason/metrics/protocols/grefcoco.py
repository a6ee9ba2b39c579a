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
        explanation="Native size, every expression. gIoU takes 1 for a no-target sample called so and 0 otherwise; a "
        "wrong mask adds its area to the union of cIoU; Pr@X is over samples with a target only and includes equality. "
        "ReLA reads 'no target' from a head of its own; here an answer without pixels is that.",
    )
)
