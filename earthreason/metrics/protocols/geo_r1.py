"""Geo-R1's evaluator."""

from earthreason.masks.grids import Grid
from earthreason.metrics.protocols.base import Protocol, register

register(
    Protocol(
        name="geo-r1",
        title="Geo-R1",
        rank=40,
        paper="Geo-R1, arXiv 2509.21976",
        evaluator="github.com/Geo-R1/geo-r1",
        grid=Grid("native"),
        questions="all",
        both_empty_iou=0.0,
        missing="an answer that raises an error scores 0",
        explanation="Native size, every question of every image; an empty answer to an empty target scores 0, so a "
        "model that refuses rightly loses a full sample. Their code also clips a mask to the predicted box; a "
        "predictions file holds the final mask, so that belongs to the model.",
    )
)
