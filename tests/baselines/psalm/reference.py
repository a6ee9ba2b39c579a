"""Both decoders of transformers' Mask2Former, changed where PSALM's code differs, and our names of their weights."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import Mask2FormerPixelDecoder, Mask2FormerTransformerModule

QUERIES, DIM = 5, 64
CHANNELS = (16, 32, 64, 128)
SIDES = ((24, 32), (12, 16), (6, 8), (3, 4))
"""Heights and widths of the four feature maps, which differ, so that x and y cannot be confused."""


class Mask2Former(nn.Module):
    """Pixel decoder and masked-attention decoder with random weights.

    The lateral convolution of PSALM's pixel decoder has a bias and a ReLU, its output convolution a bias.
    """

    def __init__(self) -> None:
        super().__init__()
        config = Mask2FormerConfig(
            feature_size=DIM,
            mask_feature_size=DIM,
            hidden_dim=DIM,
            num_attention_heads=4,
            encoder_layers=2,
            encoder_feedforward_dim=128,
            dim_feedforward=128,
            decoder_layers=4,  # three layers, one prediction before them
            num_queries=QUERIES,
            dropout=0.0,
        )
        self.pixel_decoder = Mask2FormerPixelDecoder(config, CHANNELS)
        for convolution in (self.pixel_decoder.adapter_1[0], self.pixel_decoder.layer_1[0]):
            convolution.bias = nn.Parameter(torch.zeros(DIM))
        self.pixel_decoder.adapter_1.append(nn.ReLU())
        self.transformer = Mask2FormerTransformerModule(DIM, config)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)
        self.eval()

    def forward(self, features: tuple[Tensor, ...], queries: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Return mask features, mask logits (B, Q, h, w) and normalised queries (B, Q, D) of each step.

        Args:
            features: four maps, fine to coarse.
            queries: (Q, D) queries before the first layer.
        """
        self.transformer.queries_features.weight.data = queries
        pixels = self.pixel_decoder(list(features), return_dict=True)
        decoded = self.transformer(list(pixels.multi_scale_features), pixels.mask_features)
        refined = [step.transpose(0, 1) for step in decoded.intermediate_hidden_states]
        return pixels.mask_features, list(decoded.masks_queries_logits), refined

    def our_weights(self) -> dict[str, Tensor]:
        """Return the weights under the names of `PsalmModel`."""
        ours: dict[str, Tensor] = {}
        for name, tensor in self.state_dict().items():
            for pattern, replacement in _NAMES:
                name = re.sub(pattern, replacement, name)
            ours[name] = tensor
        for layer in range(3):
            for kind in ("weight", "bias"):
                prefix = f"mask_decoder.layers.{layer}.self_attention."
                parts = [ours.pop(f"{prefix}{part}_proj.{kind}") for part in "qkv"]
                ours[f"{prefix}in_proj_{kind}"] = torch.cat(parts)
        del ours["transformer.queries_features.weight"]
        return ours


_NAMES = (
    (r"^pixel_decoder\.input_projections", "pixel_decoder.input_proj"),
    (r"^pixel_decoder\.encoder\.layers", "pixel_decoder.layers"),
    (r"^pixel_decoder\.adapter_1", "pixel_decoder.lateral"),
    (r"^pixel_decoder\.layer_1", "pixel_decoder.output"),
    (r"^pixel_decoder\.mask_projection", "pixel_decoder.mask_features"),
    (r"^(pixel_decoder\.layers\.\d+\.)self_attn_layer_norm", r"\1norm1"),
    (r"^(pixel_decoder\.layers\.\d+\.)final_layer_norm", r"\1norm2"),
    (r"\.fc(\d)\.", r".linear\1."),
    (r"^transformer\.queries_embedder\.weight", "query_positions"),
    (r"^transformer\.level_embed\.weight", "mask_decoder.level_embed"),
    (r"^transformer\.decoder\.layernorm", "mask_decoder.norm"),
    (r"^transformer\.decoder\.mask_predictor\.mask_embedder\.0\.0", "mask_decoder.mask_embed.0"),
    (r"^transformer\.decoder\.mask_predictor\.mask_embedder\.1\.0", "mask_decoder.mask_embed.2"),
    (r"^transformer\.decoder\.mask_predictor\.mask_embedder\.2\.0", "mask_decoder.mask_embed.4"),
    (r"^transformer\.decoder\.layers", "mask_decoder.layers"),
    (r"^(mask_decoder\.layers\.\d+\.)self_attn_layer_norm", r"\1self_norm"),
    (r"^(mask_decoder\.layers\.\d+\.)cross_attn_layer_norm", r"\1cross_norm"),
    (r"^(mask_decoder\.layers\.\d+\.)final_layer_norm", r"\1ffn_norm"),
    (r"^(mask_decoder\.layers\.\d+\.)self_attn\.", r"\1self_attention."),
    (r"^(mask_decoder\.layers\.\d+\.)cross_attn\.", r"\1cross_attention."),
)
