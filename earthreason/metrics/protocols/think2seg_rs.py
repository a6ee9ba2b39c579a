"""Think2Seg-RS's evaluator."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="think2seg-rs",
        title="Think2Seg-RS",
        rank=30,
        paper="Think2Seg-RS, arXiv 2512.19302",
        evaluator="github.com/Ricardo-XZ/Think2Seg-RS",
        grid=Grid("stretch", 840),
        questions="random",
        count_false_positive_area=False,
        missing="an answer that cannot be parsed scores 0 and adds the target's area",
        explanation="Masks are stretched to 840 x 840 without keeping the aspect; one question per image is drawn at "
        "random (here by --seed; their draw cannot be repeated); a mask on an empty target costs 0 in gIoU and nothing "
        "in cIoU, so false positives are free there. Needs an answer to every question that may be drawn.",
    )
)
