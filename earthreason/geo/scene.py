"""What the answering of questions needs of an opened scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from earthreason.geo.grid import GeoGrid, Window


@dataclass(frozen=True)
class Block:
    """Pixels of a window, as people see them.

    Attributes:
        pixels: (height, width, 3) uint8; black where there is no data.
        valid: (height, width) bool, False where the scene has no data; None if all have.
    """

    pixels: np.ndarray
    valid: np.ndarray | None = None


class Scene(Protocol):
    """An opened scene that is read in windows."""

    @property
    def name(self) -> str:
        """File name, for messages and metadata."""

    @property
    def grid(self) -> GeoGrid:
        """Where its pixels lie."""

    @property
    def facts(self) -> dict[str, str]:
        """How it is read, such as the bands and the limits of the stretch: what two runs must share to be joined."""

    def read(self, window: Window, height: int, width: int) -> Block:
        """Read a window that lies inside the scene, scaled to (height, width) pixels; smaller ones from overviews.

        Raises:
            DataFormatError: the file is truncated or damaged; the message names it.
        """
