"""EfficientNet-Lite0 as an image encoder: a small network with public ImageNet weights.

EfficientNet (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6. The layers pad as TensorFlow does,
because the weights were trained there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = (24, 40, 112, 320)
"""Channels of the features of strides 4, 8, 16 and 32."""
_STEM = 32
_STAGES = (  # expansion, kernel, stride, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
_TAPS = (1, 2, 4, 6)
"""Stages whose outputs are features."""


class _Convolution(nn.Sequential):
    """Convolution, batch norm and, unless `linear`, ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)
        )
        self.kernel, self.stride, self.linear = kernel, stride, linear

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size in (x.shape[3], x.shape[2]):  # the odd pixel goes to the right and below
            pad = max(0, (-(-size // self.stride) - 1) * self.stride + self.kernel - size)
            pads += [pad // 2, pad - pad // 2]
        x = super().forward(F.pad(x, pads))
        return x if self.linear else F.relu6(x)


class _Block(nn.Module):
    """Inverted residual: expand, filter each channel, reduce."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _Convolution(inputs, wide, 1) if expansion > 1 else nn.Identity()
        self.filter = _Convolution(wide, wide, kernel, stride, groups=wide)
        self.reduce = _Convolution(wide, outputs, 1, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(self.filter(self.expand(x)))
        return x + y if self.residual else y


class _Stage(nn.Module):
    """Blocks with the same channels."""

    def __init__(self, blocks: list[_Block]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier; the statistics of its batch norms are fixed."""

    channels = CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, _STEM, 3, 2)
        self.layers = nn.ModuleList()
        inputs = _STEM
        for expansion, kernel, stride, outputs, count in _STAGES:
            blocks = [_Block(inputs, outputs, expansion, kernel, stride)]
            blocks += [_Block(outputs, outputs, expansion, kernel, 1) for _ in range(count - 1)]
            self.layers.append(_Stage(blocks))
            inputs = outputs

    def train(self, mode: bool = True) -> Self:
        """Set the mode; batch norms stay in evaluation mode, as the batches are small."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, ...]:
        """Turn normalised pixels (B, 3, S, S) into features (B, C, S/4, S/4) and of strides 8, 16 and 32."""
        x = self.stem(pixel_values)
        features = []
        for number, stage in enumerate(self.layers):
            x = stage(x)
            if number in _TAPS:
                features.append(x)
        return tuple(features)

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Load published weights, whose tensors are in the same order under other names, then the classifier's.

        Raises:
            ValueError: a tensor is missing or has another shape.
        """
        own = self.state_dict()
        given = [tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")]
        names = [name for name in own if not name.endswith("num_batches_tracked")]
        if len(given) < len(names):
            raise ValueError(f"{len(given)} tensors instead of {len(names)} or more")
        for name, tensor in zip(names, given, strict=False):
            if tensor.shape != own[name].shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)} instead of {tuple(own[name].shape)}")
            own[name] = tensor.to(torch.float32)
        self.load_state_dict(own)
