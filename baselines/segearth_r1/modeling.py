"""SegEarth-R1 from pixels and tokens to mask logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel

from baselines.common.modeling import MaskOutput, ReasoningModel, total_of
from baselines.common.pixels import normalise
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.connector import CompressionConnector
from baselines.segearth_r1.description import DescriptionHead
from baselines.segearth_r1.losses import MaskLossConfig, mask_losses
from baselines.segearth_r1.mask_decoder import MaskDecoder
from baselines.segearth_r1.pixel_decoder import PixelDecoder
from baselines.segearth_r1.vision import SwinTransformer


@dataclass
class SegEarthR1Output(MaskOutput):
    """What `SegEarthR1Model` returns besides the logits, h = w = image_size / 4.

    Attributes:
        description_embedding: (B, 1, decoder_dim), the query.
        auxiliary_logits: (B, h, w) of every decoder step before the last.
        hidden_states: (B, L, hidden) of the language model after its final norm.
    """

    description_embedding: Tensor | None = None
    auxiliary_logits: tuple[Tensor, ...] | None = None
    hidden_states: Tensor | None = None


@dataclass(frozen=True)
class ImageFeatures:
    """What is computed once per image, however many questions are asked about it.

    Attributes:
        coarsest: (B, C, S/32, S/32).
        visual_tokens: (B, tokens, hidden).
        mask_features: (B, decoder_dim, S/4, S/4).
        memories: three maps of strides 32, 16, 8.
    """

    coarsest: Tensor
    visual_tokens: Tensor
    mask_features: Tensor
    memories: list[Tensor]

    def select(self, rows: Tensor) -> ImageFeatures:
        """The features of some images, with repeats for several questions about one."""
        return ImageFeatures(
            self.coarsest[rows], self.visual_tokens[rows], self.mask_features[rows], [m[rows] for m in self.memories]
        )


class SegEarthR1Model(ReasoningModel):
    """An image encoder, a language model, and a mask decoder that takes its query from the question's states."""

    config_class = SegEarthR1Config
    base_model_prefix = "segearth_r1"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["SwinBlock", "DecoderLayer", "DeformableLayer"]  # noqa: RUF012

    def __init__(self, config: SegEarthR1Config) -> None:
        super().__init__(config)
        text = config.text_config
        self.vision_tower = SwinTransformer(config)
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
        """Description head and LM head as the reference initialises them; other parts keep their own."""
        heads = (self.lm_head, *self.description.children())
        if isinstance(module, nn.Linear) and any(module is head for head in heads):
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def encode_image(self, pixel_values: Tensor) -> ImageFeatures:
        """(B, 3, S, S) pixels, uint8 or normalised, to everything that does not depend on the question."""
        if pixel_values.dtype == torch.uint8:
            pixel_values = normalise(pixel_values).to(self.dtype)
        features = self.vision_tower(pixel_values)
        mask_features, memories = self.pixel_decoder(features)
        return ImageFeatures(features[-1], self.connector(features[-1]), mask_features, memories)

    def decode(
        self, states: Tensor, question_mask: Tensor, image: ImageFeatures
    ) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """The query, the logits (B, 1, h, w) of every decoder step, and those of presence (B,)."""
        query = self.description(states, question_mask, image.coarsest)
        logits, queries = self.mask_decoder(query, image.mask_features, image.memories)
        return query, logits, self.score_presence(queries[-1])

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        question_mask: Tensor,
        pixel_values: Tensor | None = None,
        image: ImageFeatures | None = None,
        masks: Tensor | None = None,
        labels: Tensor | None = None,
        learned: Tensor | None = None,
        **_: Any,
    ) -> SegEarthR1Output:
        """Answer one question per row.

        Args:
            input_ids: (B, L) int64, `IMAGE_ID` for each visual token; padded on the right with any id.
            attention_mask: (B, L), 0 on padding.
            question_mask: (B, L) bool, the question and its `[SEG]`.
            pixel_values: (B, 3, S, S), uint8 or normalised; left out if `image` is given.
            image: from `encode_image`, to ask several questions about one image.
            masks: (B, H, W) targets on the canvas, for the mask losses.
            labels: (B, L) ids to predict, -100 elsewhere, for the language loss.
            learned: (B, K) positions before a label, from the processor; without it, every position gets logits.

        Raises:
            ValueError: neither pixels nor features were given.
        """
        image = self.features_of(pixel_values, image)
        states = self.read(input_ids, attention_mask, image.visual_tokens)
        query, logits, presence = self.decode(states, question_mask, image)
        losses = {} if masks is None else mask_losses(logits, masks, self.loss_config)
        losses = self.add_losses(losses, masks, presence, states, labels, learned)
        steps = [step.squeeze(1) for step in logits]
        return SegEarthR1Output(
            loss=total_of(losses),
            mask_logits=steps[-1],
            description_embedding=query,
            auxiliary_logits=tuple(steps[:-1]),
            hidden_states=states,
            losses=losses or None,
            presence_logits=presence,
        )
