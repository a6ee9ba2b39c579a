"""PixelLM's image encoder: CLIP on a larger canvas, which attends to the picture but not to its padding."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPVisionModel


class PaddedClip(CLIPVisionModel):
    """CLIP whose positions are resized bilinearly and whose attention leaves out patches of padding."""

    def forward(
        self, pixels: Tensor, visible: Tensor, layers: tuple[int, ...], shifted: bool = False
    ) -> tuple[Tensor, ...]:
        """Compute the patch states at some layers.

        Args:
            pixels: (B, 3, S, S) normalised pixels in the model's dtype.
            visible: (B, side^2) bool, patches to attend to.
            layers: indices into CLIP's hidden states, of which the first is the input of the first layer; layers after
                the last of them are not run.
            shifted: see `resized_positions`.

        Returns:
            States (B, side^2, C) for each of `layers`, without the class token.
        """
        patches = self.embeddings.patch_embedding(pixels)  # (B, C, side, side)
        positions = resized_positions(self.embeddings.position_embedding.weight, patches.shape[-1], shifted)
        batch, width = patches.shape[:2]
        first = self.embeddings.class_embedding.expand(batch, 1, width)
        tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1)  # (B, 1 + side^2, C)
        seen = torch.cat([visible.new_ones(batch, 1), visible], dim=1)  # the class token is always attended to
        mask = seen[:, None, None].expand(-1, 1, tokens.shape[1], -1)  # (B, 1, 1 + side^2, 1 + side^2)
        states = [self.pre_layrnorm(tokens + positions)]
        wanted = [layer % (len(self.encoder.layers) + 1) for layer in layers]
        for layer in self.encoder.layers[: max(wanted)]:
            states.append(layer(states[-1], attention_mask=mask))
        return tuple(states[number][:, 1:] for number in wanted)


def resized_positions(table: Tensor, side: int, shifted: bool = False) -> Tensor:
    """Resize a position table (1 + n^2, C), class token first, bilinearly to (1 + side^2, C).

    With `shifted`, the last row is kept for the last patch, and the others are resized as if they were the grid: the
    released code takes the class token to be last.
    """
    grid, single = (table[:-1], table[-1:]) if shifted else (table[1:], table[:1])
    n = math.isqrt(len(grid))
    old = grid.float().T.unflatten(1, (n, n)).unsqueeze(0)  # (1, C, n, n)
    new = F.interpolate(old, size=(side, side), mode="bilinear", align_corners=False)  # (1, C, side, side)
    rows = new[0].flatten(1).T.to(table.dtype)  # (side^2, C)
    return torch.cat([rows, single] if shifted else [single, rows])
