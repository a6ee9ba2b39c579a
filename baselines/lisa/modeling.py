"""LISA, from pixels and tokens to mask logits: CLIP for the language model, SAM for the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    PreTrainedConfig,
    SamConfig,
)
from transformers.models.sam.modeling_sam import SamMaskDecoder, SamPositionalEmbedding, SamVisionEncoder

from ..common.modeling import PromptedModel, mask_offset, query_head, states_at
from ..common.pixels import normalise, normalise_clip, split_padding
from ..common.resolution import GroundResolution, known_range
from ..common.wording import Wording

PUBLISHED_CLIP = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "patch_size": 14,
}
PUBLISHED_SAM_ENCODER = {
    "hidden_size": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "global_attn_indexes": [7, 15, 23, 31],
    "mlp_dim": 5120,
}


class LisaConfig(PreTrainedConfig):
    """Configuration of `LisaModel`.

    Args:
        text_config: configuration of the language model, any causal one from transformers.
        clip_config: configuration of the encoder whose patches the language model reads.
        sam_config: configuration of the mask encoder and decoder; its encoder's `image_size` is the canvas.
        seg_token_id: id of `[SEG]`.
        no_target_head: whether an extra output predicts if there is a target; the published LISA has none.
        no_target_threshold: no-target score above which the answer is "no target"; chosen on validation.
        ground_resolution: finest and coarsest GSD of the canvas in training, metres per pixel; None if unknown.
        foreground_prior: expected share of target pixels, which sets the initial mask logits of a new model; None for
            published checkpoints.
        wording: conversation that the model was trained with, and is asked in.
        trains_projector: whether the projector learns although the encoders are frozen, as one that starts new has to.
    """

    model_type = "earthreason_lisa"
    sub_configs = {"text_config": AutoConfig, "clip_config": CLIPVisionConfig, "sam_config": SamConfig}  # noqa: RUF012

    def __init__(
        self,
        text_config: PreTrainedConfig | dict[str, Any] | None = None,
        clip_config: CLIPVisionConfig | dict[str, Any] | None = None,
        sam_config: SamConfig | dict[str, Any] | None = None,
        seg_token_id: int = 32000,
        no_target_head: bool = False,
        no_target_threshold: float = 0.5,
        ground_resolution: GroundResolution | None = None,
        foreground_prior: float | None = None,
        wording: Wording = "own",
        trains_projector: bool = False,
        **kwargs: Any,
    ) -> None:
        text = {"model_type": "llama", "vocab_size": 32003} if text_config is None else text_config
        self.text_config = AutoConfig.for_model(**text) if isinstance(text, dict) else text
        clip = PUBLISHED_CLIP if clip_config is None else clip_config
        self.clip_config: Any = CLIPVisionConfig(**clip) if isinstance(clip, dict) else clip
        sam = {"vision_config": PUBLISHED_SAM_ENCODER} if sam_config is None else sam_config
        self.sam_config: Any = SamConfig(**sam) if isinstance(sam, dict) else sam
        self.seg_token_id, self.no_target_head, self.foreground_prior = seg_token_id, no_target_head, foreground_prior
        self.no_target_threshold = no_target_threshold
        self.ground_resolution = known_range(ground_resolution)
        self.wording, self.trains_projector = wording, trains_projector
        kwargs.setdefault("tie_word_embeddings", False)
        super().__init__(**kwargs)

    @property
    def image_size(self) -> int:
        """Side of the canvas, pixels."""
        return int(self.sam_config.vision_config.image_size)

    @property
    def visual_tokens(self) -> int:
        """Number of tokens per image in the language model's sequence."""
        return (int(self.clip_config.image_size) // int(self.clip_config.patch_size)) ** 2


@dataclass(frozen=True)
class LisaFeatures:
    """Image features: `visual_tokens` (B, N, hidden) and SAM's `embeddings` (B, C, h, w)."""

    visual_tokens: Tensor
    embeddings: Tensor

    def select(self, rows: Tensor) -> LisaFeatures:
        """Return the features of the images `rows` (questions,) int64, which may repeat."""
        return LisaFeatures(self.visual_tokens[rows], self.embeddings[rows])


class LisaVision(nn.Module):
    """The two image encoders, both frozen in the paper's recipe."""

    def __init__(self, config: LisaConfig) -> None:
        super().__init__()
        self.clip = CLIPVisionModel(config.clip_config)
        self.sam = SamVisionEncoder(config.sam_config.vision_config)

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Return CLIP's second-to-last patch states (B, N, C) and SAM's embeddings (B, C, h, w).

        Padding is 0 after normalisation, as in SAM's own preprocessing.
        """
        pixels, picture = split_padding(pixel_values)
        side, dtype = cast(int, self.clip.config.image_size), self.clip.dtype
        small = F.interpolate(normalise_clip(pixels) * picture, size=(side, side), mode="bilinear", antialias=True)
        patches = self.clip(small.to(dtype), output_hidden_states=True).hidden_states[-2][:, 1:]
        return patches, self.sam((normalise(pixels) * picture).to(dtype)).last_hidden_state


class LisaModel(PromptedModel):
    """LISA: the state that predicts `[SEG]` is the only prompt of SAM's decoder.

    `question_mask` marks one position per row.
    """

    config_class = LisaConfig
    base_model_prefix = "lisa"
    frozen_with_vision: tuple[str, ...] = ("vision_tower", "projector", "no_mask")
    never_trained = ("positions",)  # random frequencies, a constant of SAM

    def __init__(self, config: LisaConfig) -> None:
        super().__init__(config)
        if config.trains_projector:
            self.frozen_with_vision = tuple(part for part in self.frozen_with_vision if part != "projector")
        text, decoder = config.text_config, config.sam_config.mask_decoder_config
        decoder._attn_implementation = "sdpa"
        self.vision_tower = LisaVision(config)
        self.projector = nn.Linear(config.clip_config.hidden_size, text.hidden_size)
        self.language_model = AutoModel.from_config(text)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.query = query_head(text.hidden_size, decoder.hidden_size)
        self.positions = SamPositionalEmbedding(config.sam_config.vision_config)
        self.no_mask = nn.Embedding(1, decoder.hidden_size)
        self.mask_decoder = SamMaskDecoder(decoder)
        self.mask_decoder.iou_prediction_head.requires_grad_(False)  # its output is not used
        self.presence = nn.Linear(decoder.hidden_size, 1) if config.no_target_head else None
        self.mask_offset = mask_offset(config.foreground_prior)
        self.post_init()

    def encode_image(self, pixel_values: Tensor) -> LisaFeatures:
        """Compute everything that does not depend on the question from uint8 pixels of the processor, (B, 4, S, S)."""
        patches, embeddings = self.vision_tower(pixel_values)
        return LisaFeatures(self.projector(patches), embeddings)

    def make_queries(self, states: Tensor, question_mask: Tensor) -> Tensor:
        return self.query(states_at(states, question_mask, 1))  # (B, 1, D)

    def decode(self, queries: Tensor, image: LisaFeatures) -> Tensor:
        """Turn queries (B, 1, D) into logits (B, h, w), four times the side of SAM's embeddings."""
        batch, channels, height, width = image.embeddings.shape
        no_mask = self.no_mask.weight.view(1, channels, 1, 1)  # (1, C, 1, 1)
        logits, _ = self.mask_decoder(
            image_embeddings=image.embeddings,
            image_positional_embeddings=image_positions(self.positions, height, width).expand(batch, -1, -1, -1),
            sparse_prompt_embeddings=queries.unsqueeze(1),  # (B, 1, 1, D)
            dense_prompt_embeddings=no_mask.expand_as(image.embeddings),
            multimask_output=False,
        )
        return logits[:, 0, 0]  # (B, h, w) of (B, 1, 1, h, w)


def image_positions(positions: nn.Module, height: int, width: int) -> Tensor:
    """Return SAM's random Fourier code of each position of a map: (1, C, height, width)."""
    device = next(positions.parameters()).device
    y, x = ((torch.arange(n, device=device) + 0.5) / n for n in (height, width))
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)  # (height, width, 2), x before y
    return positions(grid).permute(2, 0, 1).unsqueeze(0)  # (1, C, height, width)
