"""Compression of the coarsest features into visual tokens, as in PSALM's code (`swin_conv`)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResidualConnector(nn.Module):
    """A residual block of ResNet (arXiv 1512.03385) with a strided first convolution, and a linear layer."""

    def __init__(self, channels: int, width: int, hidden: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(width)
        )
        self.fc = nn.Linear(width, hidden)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, features: Tensor) -> Tensor:
        """Compress features (B, C, h, w) to visual tokens (B, tokens, hidden), row by row."""
        x = F.relu(self.norm1(self.conv1(features)))
        x = self.conv2(self.conv2(x))  # twice, as the published code runs it
        x = F.relu(self.norm2(x) + self.shortcut(features))
        return self.fc(x.flatten(2).transpose(1, 2))  # (B, tokens, hidden)
