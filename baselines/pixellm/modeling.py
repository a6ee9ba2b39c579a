"""PixelLM, from pixels and tokens to mask logits: one image encoder for the language model and for the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, CLIPVisionConfig, PreTrainedConfig, SamMaskDecoderConfig
from transformers.models.sam.modeling_sam import SamFeedForward, SamLayerNorm, SamTwoWayTransformer

from ..common.modeling import PromptedModel, mask_offset, query_head, states_at, visual_numbers
from ..common.pixels import normalise, split_padding
from ..common.prompt import IMAGE_ID
from ..common.resolution import GroundResolution, known_range
from ..common.wording import Wording
from .vision import PaddedClip

SCALES = 2
MASK_TOKENS = 4
"""Mask tokens of SAM's decoder, after its quality token; only the first is read, but all take part in attention."""
UPSCALED = 8
"""Divisor of the channels before the mask is computed."""
PUBLISHED_CLIP = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
    "image_size": 336,
}


class PixelLMConfig(PreTrainedConfig):
    """Configuration of `PixelLMModel`.

    Args:
        text_config: configuration of the language model, any causal one from transformers.
        clip_config: configuration of the image encoder; its `image_size` is that of the position table.
        image_size: side of the canvas in pixels; the position table is resized to it.
        feature_layers: encoder layers whose hidden states the decoder reads, deeper layer first.
        language_side: side to which the deeper map is resized for the language model.
        projector_dim: hidden width of both projectors.
        decoder_dim, decoder_ffn, decoder_heads: width, MLP width and attention heads of the pixel decoder.
        tokens_per_scale: codebook tokens per scale.
        seg_token_ids: ids of the codebook tokens, scale by scale.
        as_released: whether to repeat what the released code does by mistake, and the published weights were trained
            with: positions shifted by one (`resized_positions`), and constants for the weights of tokens (1/6) and
            scales (1/2).
        no_target_head: whether an extra output predicts if there is a target; the published PixelLM has none.
        no_target_threshold: no-target score above which the answer is "no target"; chosen on validation.
        ground_resolution: finest and coarsest GSD of the canvas in training, metres per pixel; None if unknown.
        foreground_prior: expected share of target pixels, which sets the initial mask logits of a new model; None for
            published checkpoints.
        wording: conversation that the model was trained with, and is asked in.
    """

    model_type = "earthreason_pixellm"
    sub_configs = {"text_config": AutoConfig, "clip_config": CLIPVisionConfig}  # noqa: RUF012

    def __init__(
        self,
        text_config: PreTrainedConfig | dict[str, Any] | None = None,
        clip_config: CLIPVisionConfig | dict[str, Any] | None = None,
        image_size: int = 448,
        feature_layers: tuple[int, int] = (-2, -11),
        language_side: int = 16,
        projector_dim: int = 8192,
        decoder_dim: int = 256,
        decoder_ffn: int = 2048,
        decoder_heads: int = 8,
        tokens_per_scale: int = 3,
        seg_token_ids: tuple[int, ...] = (32000, 32001, 32002, 32003, 32004, 32005),
        as_released: bool = False,
        no_target_head: bool = False,
        no_target_threshold: float = 0.5,
        ground_resolution: GroundResolution | None = None,
        foreground_prior: float | None = None,
        wording: Wording = "own",
        **kwargs: Any,
    ) -> None:
        text = {"model_type": "llama", "vocab_size": 32006} if text_config is None else text_config
        self.text_config = AutoConfig.for_model(**text) if isinstance(text, dict) else text
        clip = PUBLISHED_CLIP if clip_config is None else clip_config
        self.clip_config = CLIPVisionConfig(**clip) if isinstance(clip, dict) else clip
        self.image_size, self.feature_layers, self.language_side = image_size, tuple(feature_layers), language_side
        self.projector_dim, self.decoder_dim, self.decoder_ffn = projector_dim, decoder_dim, decoder_ffn
        self.decoder_heads, self.tokens_per_scale = decoder_heads, tokens_per_scale
        self.seg_token_ids, self.as_released, self.no_target_head = tuple(seg_token_ids), as_released, no_target_head
        self.foreground_prior = foreground_prior
        self.no_target_threshold, self.wording = no_target_threshold, wording
        self.ground_resolution = known_range(ground_resolution)
        kwargs.setdefault("tie_word_embeddings", False)
        super().__init__(**kwargs)

    @property
    def visual_tokens(self) -> int:
        """Number of tokens per image in the language model's sequence."""
        return self.language_side**2


@dataclass(frozen=True)
class PixelLMFeatures:
    """Image features: `visual_tokens` (B, N, hidden), `visible` (B, N) and one map (B, D, h, w) per scale.

    `visible` is False for visual tokens that show padding only.
    """

    visual_tokens: Tensor
    visible: Tensor
    maps: tuple[Tensor, Tensor]

    def select(self, rows: Tensor) -> PixelLMFeatures:
        """Return the features of the images `rows` (questions,) int64, which may repeat."""
        deep, shallow = self.maps
        return PixelLMFeatures(self.visual_tokens[rows], self.visible[rows], (deep[rows], shallow[rows]))


class FourierPositions(nn.Module):
    """Random Fourier code of each position of a map, as in SAM."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.randn(2, dim // 2))

    def forward(self, height: int, width: int) -> Tensor:
        """Return the codes of a map: (1, D, height, width)."""
        matrix = self.get_buffer("matrix")
        y, x = ((torch.arange(n, device=matrix.device) + 0.5) / n for n in (height, width))
        grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)  # (height, width, 2), x before y
        angle = 2 * torch.pi * (2 * grid.to(matrix.dtype) - 1) @ matrix  # (height, width, D / 2)
        return torch.cat([angle.sin(), angle.cos()], dim=-1).permute(2, 0, 1).unsqueeze(0)  # (1, D, height, width)


class CodebookDecoder(nn.Module):
    """One query per scale to a mask: a first mask from the deep map guides the second one on the shallow map."""

    def __init__(self, config: PixelLMConfig) -> None:
        super().__init__()
        dim = config.decoder_dim
        sam = SamMaskDecoderConfig(
            hidden_size=dim, mlp_dim=config.decoder_ffn, num_attention_heads=config.decoder_heads
        )
        sam._attn_implementation = "sdpa"
        self.transformers = nn.ModuleList(SamTwoWayTransformer(sam) for _ in range(SCALES))
        self.positions = nn.ModuleList(FourierPositions(dim) for _ in range(SCALES))
        self.tokens = nn.Parameter(torch.randn(1 + MASK_TOKENS, dim))
        self.level_embed = nn.Parameter(torch.randn(SCALES, dim))
        self.no_mask = nn.Parameter(torch.randn(dim))
        self.enlarge = nn.Sequential(
            nn.ConvTranspose2d(dim, dim, 2, stride=2), SamLayerNorm(dim, data_format="channels_first"), nn.GELU()
        )
        self.upscale = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // UPSCALED, 2, stride=2),
            SamLayerNorm(dim // UPSCALED, data_format="channels_first"),
            nn.GELU(),
        )
        self.hypernetwork = SamFeedForward(dim, dim, dim // UPSCALED, 3)
        self.scale_weights = None if config.as_released else nn.Parameter(torch.full((SCALES,), 1 / SCALES))

    def forward(self, queries: Tensor, maps: tuple[Tensor, Tensor]) -> Tensor:
        """Turn queries (B, 2, D) and the deep and shallow maps (B, D, h, w) into logits (B, 4 h, 4 w)."""
        first = self._mask(0, queries[:, :1], maps[0] + self.no_mask[:, None, None])
        large = self.enlarge(maps[1])
        guide = F.interpolate(first, size=large.shape[-2:], mode="bilinear", align_corners=False)
        guided = large * (1 + guide.sigmoid()) + self.no_mask[:, None, None]
        second = self._mask(1, queries[:, 1:], guided)
        coarse = F.interpolate(first, size=second.shape[-2:], mode="bilinear", align_corners=False)
        if self.scale_weights is None:
            return (coarse + second).squeeze(1) / SCALES  # (B, 4 h, 4 w)
        return (self.scale_weights[0] * coarse + self.scale_weights[1] * second).squeeze(1)

    def _mask(self, scale: int, query: Tensor, image: Tensor) -> Tensor:
        batch, _, height, width = image.shape
        tokens = torch.cat([self.tokens.expand(batch, -1, -1), query], dim=1) + self.level_embed[scale]  # (B, 6, D)
        positions = self.positions[scale](height, width).expand(batch, -1, -1, -1)  # (B, D, h, w)
        attended, image = self.transformers[scale](
            point_embeddings=tokens.unsqueeze(1),  # (B, 1, 6, D)
            image_embeddings=image,
            image_positional_embeddings=positions,
            attention_similarity=None,
        )
        image = image.squeeze(1).transpose(1, 2).unflatten(2, (height, width))  # (B, D, h, w)
        image = self.upscale(image)  # (B, D / UPSCALED, 2 h, 2 w)
        return torch.einsum("bqc,bchw->bqhw", self.hypernetwork(attended[:, 0, 1:2]), image)


class PixelLMModel(PromptedModel):
    """PixelLM: the states that predict the codebook tokens, fused by scale, are the queries of the decoder.

    `question_mask` marks as many positions per row as the codebook has tokens.
    """

    config_class = PixelLMConfig
    base_model_prefix = "pixellm"

    def __init__(self, config: PixelLMConfig) -> None:
        super().__init__(config)
        text, clip, dim = config.text_config, config.clip_config, config.decoder_dim
        self.vision_tower = PaddedClip(clip)
        self.projector = _projector(clip.hidden_size, config.projector_dim, text.hidden_size)
        self.mask_projector = _projector(clip.hidden_size, config.projector_dim, text.hidden_size)
        self.neck = nn.Sequential(
            nn.Conv2d(text.hidden_size, dim, 1, bias=False),
            SamLayerNorm(dim, data_format="channels_first"),
            nn.Conv2d(dim, dim, 3, padding=1, bias=False),
            SamLayerNorm(dim, data_format="channels_first"),
        )
        self.language_model = AutoModel.from_config(text)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.query = query_head(text.hidden_size, dim)
        weights = torch.full((SCALES, config.tokens_per_scale), 1 / config.tokens_per_scale)
        self.token_weights = None if config.as_released else nn.Parameter(weights)
        self.pixel_decoder = CodebookDecoder(config)
        self.presence = nn.Linear(dim, 1) if config.no_target_head else None
        self.mask_offset = mask_offset(config.foreground_prior)
        self.post_init()

    def encode_image(self, pixel_values: Tensor) -> PixelLMFeatures:
        """Compute everything that does not depend on the question.

        Args:
            pixel_values: (B, 4, S, S) uint8, the fourth channel 0 on padding; (B, 3, S, S) has no padding.
        """
        patch, language_size = self.config.clip_config.patch_size, (self.config.language_side,) * 2
        pixels, picture = split_padding(pixel_values)
        # A patch or token is visible if any of its pixels is.
        patches = F.max_pool2d(picture.float(), patch)  # (B, 1, side, side)
        visible = F.adaptive_max_pool2d(patches, language_size).flatten(1) > 0  # (B, language_side^2)
        deep, shallow = self.vision_tower(
            (normalise(pixels) * picture).to(self.dtype),
            patches.flatten(1) > 0,
            self.config.feature_layers,
            self.config.as_released,
        )
        side = patches.shape[-1]
        deep_map = deep.transpose(1, 2).unflatten(2, (side, side))  # (B, C, side, side)
        small = F.interpolate(deep_map.float(), size=language_size, mode="bilinear", align_corners=False)
        tokens = small.to(deep.dtype).flatten(2).transpose(1, 2)  # (B, language_side^2, C)

        def to_map(patches: Tensor) -> Tensor:
            projected = self.mask_projector(patches).transpose(1, 2)  # (B, hidden, side^2)
            return self.neck(projected.unflatten(2, (side, side)))  # (B, D, side, side)

        return PixelLMFeatures(self.projector(tokens), visible, (to_map(deep), to_map(shallow)))

    def attended(self, attention_mask: Tensor, input_ids: Tensor, image: PixelLMFeatures) -> Tensor:
        """Leave out the visual tokens that show padding only."""
        visible = image.visible.gather(1, visual_numbers(input_ids))  # (B, L)
        return attention_mask * (visible | (input_ids != IMAGE_ID))

    def make_queries(self, states: Tensor, question_mask: Tensor) -> Tensor:
        """Turn language states (B, L, hidden) into one query per scale: (B, 2, D)."""
        count = self.config.tokens_per_scale
        tokens = self.query(states_at(states, question_mask, SCALES * count))  # (B, 2 * tokens per scale, D)
        tokens = tokens.unflatten(1, (SCALES, count))  # (B, 2, tokens per scale, D)
        if self.token_weights is None:
            return tokens.sum(2) / (SCALES * count)  # one weight per token of both scales, so half the mean of a scale
        return torch.einsum("bstd,st->bsd", tokens, self.token_weights)

    def decode(self, queries: Tensor, image: PixelLMFeatures) -> Tensor:
        return self.pixel_decoder(queries, image.maps)


def _projector(inputs: int, between: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, between), nn.GELU(), nn.Linear(between, outputs))
