"""SegEarth-R1, from pixels and tokens to mask logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel

from ..common.encoders import make_encoder
from ..common.modeling import MaskOutput, ReasoningModel
from ..common.pixels import normalise
from .configuration import SegEarthR1Config
from .connector import CompressionConnector
from .description import DescriptionHead
from .losses import MaskLossConfig, mask_losses
from .mask_decoder import MaskDecoder
from .pixel_decoder import PixelDecoder
from .vision import SwinTransformer


@dataclass
class SegEarthR1Output(MaskOutput):
    """Output of `SegEarthR1Model`; h = w = image_size / 4.

    Attributes:
        description_embedding: (B, 1, decoder_dim) query of the mask decoder.
        auxiliary_logits: (B, h, w) mask logits of each decoder step before the last.
        hidden_states: (B, L, hidden) language states after the final norm.
    """

    description_embedding: Tensor | None = None
    auxiliary_logits: tuple[Tensor, ...] | None = None
    hidden_states: Tensor | None = None


@dataclass(frozen=True)
class ImageFeatures:
    """Image features, which do not depend on the question.

    Attributes:
        coarsest: (B, C, S/32, S/32) features of the last encoder stage.
        visual_tokens: (B, tokens, hidden) input of the language model.
        mask_features: (B, decoder_dim, S/4, S/4) features that the query is compared with.
        memories: three maps (B, decoder_dim, h, w) of strides 32, 16, 8.
    """

    coarsest: Tensor
    visual_tokens: Tensor
    mask_features: Tensor
    memories: list[Tensor]

    def select(self, rows: Tensor) -> ImageFeatures:
        """Return the features of the images `rows` (questions,) int64, which may repeat."""
        return ImageFeatures(
            self.coarsest[rows], self.visual_tokens[rows], self.mask_features[rows], [m[rows] for m in self.memories]
        )


class SegEarthR1Model(ReasoningModel):
    """An image encoder, a language model, and a mask decoder whose query is made from the question's states.

    `question_mask` marks the question and its `[SEG]`.
    """

    config_class = SegEarthR1Config
    loss_config: MaskLossConfig
    output_class = SegEarthR1Output
    base_model_prefix = "segearth_r1"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["SwinBlock", "DecoderLayer", "DeformableLayer"]  # noqa: RUF012

    def __init__(self, config: SegEarthR1Config) -> None:
        super().__init__(config)
        text = config.text_config
        self.vision_tower = SwinTransformer(config) if config.encoder is None else make_encoder(config.encoder)
        self.connector = CompressionConnector(config)
        self.language_model = AutoModel.from_config(text)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.description = DescriptionHead(config)
        self.pixel_decoder = PixelDecoder(config)
        self.mask_decoder = MaskDecoder(config)
        self.presence = nn.Linear(config.decoder_dim, 1) if config.no_target_head else None
        self.loss_config = MaskLossConfig()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise description head and LM head as the reference code does; other parts initialise themselves."""
        heads = (self.lm_head, *self.description.children())
        if isinstance(module, nn.Linear) and any(module is head for head in heads):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def encode_image(self, pixel_values: Tensor) -> ImageFeatures:
        """Compute everything that does not depend on the question from (B, 3, S, S) pixels, uint8 or normalised."""
        if pixel_values.dtype == torch.uint8:
            statistics = self.config.image_mean, self.config.image_std
            pixel_values = normalise(pixel_values, *statistics).to(self.dtype)
        features = self.vision_tower(pixel_values)
        mask_features, memories = self.pixel_decoder(features)
        return ImageFeatures(features[-1], self.connector(features[-1]), mask_features, memories)

    def decode(
        self, states: Tensor, question_mask: Tensor, image: ImageFeatures
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Return the query (B, 1, D), the mask logits (B, 1, h, w) of each decoder step, and presence logits (B,)."""
        query = self.description(states, question_mask, image.coarsest)
        logits, queries = self.mask_decoder(query, image.mask_features, image.memories)
        return query, logits, self.score_presence(queries[-1])

    def answer(
        self, states: Tensor, question_mask: Tensor, image: ImageFeatures, masks: Tensor | None, **_: Any
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Decode one mask per row; the losses cover every decoder step."""
        query, logits, presence = self.decode(states, question_mask, image)
        steps = [step.squeeze(1) for step in logits]  # (B, h, w) each
        fields = {
            "mask_logits": steps[-1],
            "presence_logits": presence,
            "description_embedding": query,
            "auxiliary_logits": tuple(steps[:-1]),
            "hidden_states": states,
        }
        return fields, {} if masks is None else mask_losses(logits, masks, self.loss_config)

    def category_width(self) -> int:
        """Return the number of channels of the mask features."""
        return int(self.config.decoder_dim)
