"""PixelLM as a Predictor: images and questions in, masks out."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.common.predictor import MaskPredictor
from baselines.common.processing import DialogueProcessor
from baselines.pixellm.modeling import PixelLMModel
from earthreason.masks.grids import Grid


class PixelLMProcessor(DialogueProcessor):
    """Writes conversations with the six codebook tokens, and marks the padding of each canvas."""

    tokens = tuple(f"[SEG{n}]" for n in range(6))

    def mark_padding(self, canvas: Tensor, height: int, width: int) -> Tensor:
        """Add a channel to the canvas (3, S, S) of a (height, width) image: 255 on the image, 0 on its padding."""
        grid = Grid("letterbox", self.image_size)
        rows, columns = (max(1, length) for length in grid.resized_shape(height, width))
        top, left = grid.padding(height, width)
        picture = torch.zeros_like(canvas[:1])
        picture[:, top : top + rows, left : left + columns] = 255
        return torch.cat([canvas, picture])  # (4, S, S)


class PixelLMPredictor(MaskPredictor[PixelLMModel]):
    """PixelLM as a Predictor."""

    model_class = PixelLMModel
    processor_class = PixelLMProcessor
