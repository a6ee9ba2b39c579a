"""Answers to questions about a scene: a mask and probabilities on a grid, read in windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from earthreason.geo.grid import GeoGrid, Window


class AnswerRaster(Protocol):
    """Mask and probabilities of one answer; large ones lie on disk and are read in windows."""

    @property
    def grid(self) -> GeoGrid:
        """Where the pixels lie."""

    def mask(self, window: Window) -> np.ndarray:
        """Return (height, width) bool of a window, True on the target."""

    def probability(self, window: Window) -> np.ndarray:
        """Return (height, width) float32 from 0 to 1 of a window; NaN where nothing was asked or there is no data."""


@dataclass(frozen=True)
class ArrayRaster:
    """An answer in memory.

    Attributes:
        grid: where the pixels lie.
        marked: (height, width) bool, True on the target.
        probabilities: (height, width) float32; NaN where there is no data.
    """

    grid: GeoGrid
    marked: np.ndarray
    probabilities: np.ndarray

    def mask(self, window: Window) -> np.ndarray:
        """Return (height, width) bool of a window."""
        return self.marked[window.top : window.bottom, window.left : window.right]

    def probability(self, window: Window) -> np.ndarray:
        """Return (height, width) float32 of a window."""
        return self.probabilities[window.top : window.bottom, window.left : window.right]


@dataclass(frozen=True)
class SceneAnswer:
    """The answer to one question about a scene.

    Attributes:
        question: the question.
        no_target_score: lowest no-target score of all tiles, from 0 to 1.
        has_target: False for "no target"; then `raster` marks nothing.
        raster: mask and probabilities.
        text: answer in words, if the model wrote one.
        share: share of the pixels with data in the area that are marked, from 0 to 1.
        marked: number of marked pixels.
    """

    question: str
    no_target_score: float
    has_target: bool
    raster: AnswerRaster
    text: str | None = None
    share: float = 0.0
    marked: int = 0


@dataclass(frozen=True)
class SceneAnswers:
    """All answers about a scene, on one grid.

    Attributes:
        grid: grid of every answer.
        answers: one per question, in order.
        facts: what the metadata of every output states: scene, model, checkpoint, time, version, settings.
        scene_grid: grid of the whole scene at the scale of the answers, of which `grid` is `window`; None if unknown.
        window: answered part of it.
    """

    grid: GeoGrid
    answers: tuple[SceneAnswer, ...]
    facts: dict[str, str] = field(default_factory=dict)
    scene_grid: GeoGrid | None = None
    window: Window | None = None
