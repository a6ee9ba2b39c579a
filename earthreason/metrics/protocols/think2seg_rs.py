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
        explanation="Masks are stretched to 840 x 840, which changes their aspect ratio. One question per image is "
        "drawn at random (here with --seed; the original draw cannot be reproduced), so every question that may be "
        "drawn needs an answer. A mask on an empty target scores 0 in gIoU but does not lower cIoU, which thus "
        "ignores these false positives.",
    )
)
