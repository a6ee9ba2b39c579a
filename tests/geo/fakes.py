"""A scene over an array, and models that need no weights."""

import numpy as np
from PIL import Image

from earthreason.geo.grid import GeoGrid
from earthreason.geo.model import TileScores
from earthreason.geo.scene import Block


class ArrayScene:
    """A scene over (height, width, 3) uint8, with (height, width) bool where it has data."""

    name = "array"

    def __init__(self, pixels, valid=None, transform=None, crs=None):
        self.pixels, self.valid = pixels, valid
        self.grid = GeoGrid(*pixels.shape[:2], transform, crs)
        self.facts = {}
        self.read_windows = []

    def read(self, window, height, width):
        assert 0 <= window.left < window.right <= self.grid.width
        assert 0 <= window.top < window.bottom <= self.grid.height
        self.read_windows.append(window)
        part = np.s_[window.top : window.bottom, window.left : window.right]
        pixels = Image.fromarray(self.pixels[part]).resize((width, height), Image.Resampling.BOX)
        if self.valid is None:
            return Block(np.asarray(pixels))
        valid = Image.fromarray(self.valid[part].astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
        return Block(np.asarray(pixels), np.asarray(valid) > 0)


class ShadeModel:
    """Scores a pixel by its red less the mean red of its tile, so that tiles disagree where they overlap.

    Questions are numbers that scale the logits; "no" is answered with no target.
    """

    name, ground_resolution, no_target_threshold = "shade", None, 0.5

    def __init__(self, side=32):
        self.tile_side, self.calls, self.largest = side, [], 0

    def score_tiles(self, tiles, questions):
        for tile in tiles:
            self.calls.append((tile.shape, tuple(questions)))
            red = tile[..., 0].astype(np.float32) - tile[..., 0].mean(dtype=np.float32)
            none = np.array([1.0 if question == "no" else 0.25 for question in questions], np.float32)
            scales = [1.0 if question == "no" else float(question) for question in questions]
            yield TileScores(np.stack([red / 16 * np.float32(scale) for scale in scales]), none)


def noise(height, width, seed=0):
    """Return smooth random pixels, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
