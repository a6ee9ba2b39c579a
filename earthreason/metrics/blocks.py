"""Long columns of numbers in blocks, each in the narrowest type that has its numbers; equal numbers are stored once."""

from __future__ import annotations

import numpy as np

BLOCK = 1 << 15
"""Numbers of a block. The newest ones, which make no whole block yet, are Python objects."""


class NumberColumn:
    """Numbers in the order in which they were added: whole ones from 0, or floats."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._newest: list[float] = []

    def __len__(self) -> int:
        return BLOCK * len(self._blocks) + len(self._newest)

    def append(self, value: float) -> None:
        """Add a number at the end."""
        self._newest.append(value)
        if len(self._newest) == BLOCK:
            self._blocks.append(_packed(self._newest))
            self._newest = []

    def __getitem__(self, place: int) -> float:
        """Return the number at a place, counted from 0."""
        block, row = divmod(place, BLOCK)
        if block == len(self._blocks):
            return self._newest[row]
        number: float = self._blocks[block][row].item()
        return number

    def join(self) -> np.ndarray:
        """Return all numbers, (n,) of the narrowest type that has them."""
        return np.concatenate([*self._blocks, _packed(self._newest)] if self._newest else self._blocks or [_packed([])])


def _packed(numbers: list[float]) -> np.ndarray:
    column = np.array(numbers)
    if column.dtype.kind == "i":
        column = column.astype(np.min_scalar_type(column.max()))
    if column.size and np.array_equal(column, np.broadcast_to(column[0], column.shape), equal_nan=True):
        return np.broadcast_to(column[0].copy(), column.shape)
    return column
