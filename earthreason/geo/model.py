"""What a model must offer to answer questions about the tiles of a scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class TileScores:
    """Scores of Q questions about one tile.

    Attributes:
        logits: (Q, height, width) float32 at the tile's size; positive on the target.
        no_target_scores: (Q,) float32 from 0 to 1.
    """

    logits: np.ndarray
    no_target_scores: np.ndarray


class TileModel(Protocol):
    """A model that scores tiles."""

    name: str
    """Name of the model, for metadata."""
    tile_side: int
    """Side of the tile, in pixels, that it sees at its own scale."""
    ground_resolution: tuple[float, float] | None
    """Finest and coarsest GSD of the pixels that it sees, metres per pixel; None if the checkpoint does not say."""
    no_target_threshold: float
    """No-target score above which the answer is "no target"."""

    def score_tiles(self, tiles: Sequence[np.ndarray], questions: Sequence[str]) -> Iterator[TileScores]:
        """Yield the scores of every tile, (height, width, 3) uint8, for all questions; each tile is encoded once.

        Raises:
            EarthReasonError: a question is unusable, or one tile exceeds the memory of the device.
        """
