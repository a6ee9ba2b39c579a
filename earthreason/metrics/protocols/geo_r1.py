"""Geo-R1's evaluator."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="geo-r1",
        title="Geo-R1",
        rank=40,
        configs=("earthreason-fs", "earthreason-fs-1shot", "earthreason-fs-5shot", "earthreason-fs-10shot"),
        paper="Geo-R1, arXiv 2509.21976",
        evaluator="github.com/Geo-R1/geo-r1, run_scripts/test_gres_eval.py",
        grid=Grid("native"),
        questions="all",
        both_empty_iou=0.0,
        missing="an answer that raises an error scores 0",
        explanation="Masks are compared at native size, for every question. An empty answer to an empty target scores "
        "0, so a model gets no credit for a correct 'no target'. Geo-R1's code also clips each mask to the predicted "
        "box; here that step belongs to the model, because a predictions file contains the final mask.",
    )
)
