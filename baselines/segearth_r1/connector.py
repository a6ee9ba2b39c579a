"""Compression of the coarsest features into visual tokens (arXiv 2504.09644)."""

from __future__ import annotations

from torch import Tensor, nn

from .configuration import SegEarthR1Config


class CompressionConnector(nn.Module):
    """Two strided convolutions with LayerNorms over channels and space, then a 1 x 1 convolution; no activation."""

    def __init__(self, config: SegEarthR1Config) -> None:
        super().__init__()
        channels, hidden = config.vision_channels[-1], config.text_config.hidden_size
        (first, second), (side1, side2) = config.connector_strides, config.connector_sides
        self.proj1 = nn.Conv2d(channels, hidden, kernel_size=3, stride=first, padding=1)
        self.norm1 = nn.LayerNorm((hidden, side1, side1))
        self.proj2 = nn.Conv2d(hidden, hidden, kernel_size=3, stride=second, padding=1)
        self.norm2 = nn.LayerNorm((hidden, side2, side2))
        self.fc = nn.Conv2d(hidden, hidden, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """Compress features (B, C, S/32, S/32) to visual tokens (B, tokens, hidden), row by row."""
        x = self.norm1(self.proj1(features))
        x = self.norm2(self.proj2(x))
        return self.fc(x).flatten(2).transpose(1, 2)  # (B, tokens, hidden)
