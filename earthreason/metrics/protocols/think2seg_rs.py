"""Think2Seg-RS's evaluator."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="think2seg-rs",
        title="Think2Seg-RS",
        rank=30,
        paper="Think2Seg-RS, arXiv 2512.19302",
        evaluator="github.com/Ricardo-XZ/Think2Seg-RS, src/eval/test_think2seg-rs_qwen.py",
        grid=Grid("stretch", 840),
        questions="random",
        empty_answer_needed=True,
        count_false_positive_area=False,
        missing="an answer that cannot be parsed scores 0 and adds the target's area",
        explanation="Masks are stretched to 840 x 840, which changes their aspect ratio. One question per image is "
        "drawn at random (here with --seed; the original draw cannot be reproduced), so every question that may be "
        "drawn needs an answer. A target that vanishes on this grid counts as empty. Where the target is empty, only "
        "the answer 'no target' scores 1: a mask scores 0, even one that vanishes on the grid, but it does not lower "
        "cIoU, which thus ignores these false positives.",
    )
)
