"""PSALM, from pixels and tokens to mask logits, on the parts it shares with SegEarth-R1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel

from earthreason.errors import EarthReasonError

from ..common.encoders import make_encoder
from ..common.modeling import ReasoningModel, states_at
from ..common.pixels import normalise
from ..segearth_r1.configuration import SegEarthR1Config
from ..segearth_r1.description import mean_over
from ..segearth_r1.mask_decoder import MaskDecoder
from ..segearth_r1.modeling import ImageFeatures
from ..segearth_r1.pixel_decoder import PixelDecoder
from ..segearth_r1.vision import SwinTransformer
from .connector import ResidualConnector
from .losses import PsalmLossConfig, match_losses

QUERY_ID = -201
"""Placeholder for one mask query in `input_ids`."""
UNION_ABOVE = 0.6
"""Score above which the masks of several queries are merged (the published evaluation on gRefCOCO)."""
_TINY = 1e-6
"""Addend of an area before division by it, as in the published code."""


class PsalmConfig(SegEarthR1Config):
    """Configuration of `PsalmModel`.

    Args:
        queries: number of masks proposed per question.
        connector_dim: channels inside the connector.
        connector_strides: strides of the connector's two convolutions, the second of which is always 1. On a 1024 px
            canvas, (2, 1) gives 256 visual tokens.
        **kwargs: other arguments of `SegEarthR1Config`.

    Raises:
        EarthReasonError: the second stride is not 1.
    """

    model_type = "earthreason_psalm"

    def __init__(
        self,
        queries: int = 100,
        connector_dim: int = 2048,
        connector_strides: tuple[int, int] = (2, 1),
        **kwargs: Any,
    ) -> None:
        if connector_strides[1] != 1:
            raise EarthReasonError(
                f"model.architecture.connector_strides={list(connector_strides)}: only the first convolution of PSALM "
                "can have a stride; the second must be 1, as in [2, 1]"
            )
        self.queries, self.connector_dim = queries, connector_dim
        super().__init__(connector_strides=connector_strides, **kwargs)


class PsalmModel(ReasoningModel):
    """The language model reads image, question and queries; the decoder turns each query into a mask and a score.

    It has no output layer for words: the paper's segmentation batches do not teach any.
    """

    config_class = PsalmConfig
    loss_config: PsalmLossConfig
    mask_weights = ("bce", "dice", "score")
    learns_replies = False
    base_model_prefix = "psalm"

    def __init__(self, config: PsalmConfig) -> None:
        super().__init__(config)
        text, dim = config.text_config, config.decoder_dim
        self.vision_tower = SwinTransformer(config) if config.encoder is None else make_encoder(config.encoder)
        self.connector = ResidualConnector(
            config.vision_channels[-1], config.connector_dim, text.hidden_size, config.connector_strides[0]
        )
        self.language_model = AutoModel.from_config(text)
        self.seg_query = nn.Parameter(torch.zeros(config.queries, text.hidden_size))
        # The queries start equal; these tell them apart.
        self.query_positions = nn.Parameter(torch.empty(config.queries, dim).normal_())
        self.query_projector = nn.Linear(text.hidden_size, dim)
        self.condition_projector = nn.Linear(text.hidden_size, dim)
        self.pixel_decoder = PixelDecoder(config)
        self.mask_decoder = MaskDecoder(config)
        self.score_projector = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.presence = nn.Linear(dim, 1) if config.no_target_head else None
        self.loss_config = PsalmLossConfig()
        self.post_init()

    def encode_image(self, pixel_values: Tensor) -> ImageFeatures:
        """Compute everything that does not depend on the question from (B, 3, S, S) uint8 pixels."""
        pixels = normalise(pixel_values, self.config.image_mean, self.config.image_std)
        features = self.vision_tower(pixels.to(self.dtype))
        mask_features, memories = self.pixel_decoder(features)
        return ImageFeatures(features[-1], self.connector(features[-1]), mask_features, memories)

    def embed(self, input_ids: Tensor, visual_tokens: Tensor) -> Tensor:
        """Embed ids (B, L), visual tokens (B, N, hidden) and the queries at `QUERY_ID`: (B, L, hidden)."""
        embedded = super().embed(input_ids, visual_tokens)
        is_query = input_ids == QUERY_ID
        number = (is_query.cumsum(1) - 1).clamp(min=0)  # (B, L)
        queries = self.seg_query[number].to(embedded.dtype)  # (B, L, hidden)
        return torch.where(is_query.unsqueeze(-1), queries, embedded)  # (B, L, hidden)

    def propose(
        self, states: Tensor, question_mask: Tensor, is_query: Tensor, image: ImageFeatures
    ) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
        """Return mask logits (B, Q, h, w) and scores (B, Q) of each decoder step, and the presence logits (B,)."""
        queries = self.query_projector(states_at(states, is_query, len(self.seg_query)))  # (B, Q, D)
        condition = self.condition_projector(mean_over(states, question_mask))  # (B, D)
        positions = self.query_positions.to(queries.dtype)
        logits, refined = self.mask_decoder(queries, image.mask_features, image.memories, positions)
        # No scale: the published code has temperatures of 0.07, but never uses them.
        scores = [torch.einsum("bqd,bd->bq", self.score_projector(q), condition) for q in refined]
        if self.presence is None:
            return logits, scores, None
        shares = scores[-1].softmax(1).unsqueeze(-1)  # (B, Q, 1)
        return logits, scores, self.score_presence((shares * refined[-1]).sum(1))

    def forward(self, input_ids: Tensor, *arguments: Any, **keywords: Any) -> Any:
        """Answer one question per row, with `QUERY_ID` in `input_ids` for each mask query."""
        return super().forward(input_ids, *arguments, is_query=input_ids == QUERY_ID, **keywords)

    def answer(
        self, states: Tensor, question_mask: Tensor, image: ImageFeatures, masks: Tensor | None, **extra: Any
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Decode the queries and choose among their masks by the task; `extra` has `is_query` (B, L) bool."""
        logits, scores, presence = self.propose(states, question_mask, extra["is_query"], image)
        choose = best_mask if self.config.task == "referring" else merged_masks
        fields = {"mask_logits": choose(logits[-1], scores[-1]), "presence_logits": presence}
        return fields, {} if masks is None else match_losses(logits, scores, masks, self.loss_config)

    def category_width(self) -> int:
        """Return the number of channels of the mask features."""
        return int(self.config.decoder_dim)


def rank(logits: Tensor, scores: Tensor) -> Tensor:
    """Weigh each score by how certain the mask is inside: logits (B, Q, h, w), scores (B, Q) to (B, Q) from 0 to 1."""
    maps = logits.float().flatten(2)  # (B, Q, h * w)
    inside = (maps > 0).float()
    certainty = (maps.sigmoid() * inside).sum(2) / (inside.sum(2) + _TINY)
    return scores.float().sigmoid() * certainty


def best_mask(logits: Tensor, scores: Tensor) -> Tensor:
    """Take the mask of highest rank: logits (B, Q, h, w), scores (B, Q) to (B, h, w)."""
    return logits[torch.arange(len(logits), device=logits.device), rank(logits, scores).argmax(1)]


def merged_masks(logits: Tensor, scores: Tensor) -> Tensor:
    """Merge the masks ranked above `UNION_ABOVE`, or take the best: logits (B, Q, h, w), scores (B, Q) to (B, h, w)."""
    ranks = rank(logits, scores)
    best = F.one_hot(ranks.argmax(1), ranks.shape[1]).bool()
    shown = (ranks > UNION_ABOVE) | best
    return logits.masked_fill(~shown[:, :, None, None], -torch.inf).amax(1)
