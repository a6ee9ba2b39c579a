"""What the models share: reading question and image with a language model, and their output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

from baselines.common.devices import cached_constant
from baselines.common.losses import language_loss, presence_loss
from baselines.common.prompt import IMAGE_ID


@dataclass
class MaskOutput(ModelOutput):
    """What a model returns for questions about images.

    Attributes:
        loss: sum of `losses`, if masks or labels were given.
        losses: by name, each with its weight.
        mask_logits: (B, h, w), a fraction of the canvas; target where above 0.
        presence_logits: (B,), above 0 where something answers; None without a no-target head.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    mask_logits: Tensor | None = None
    presence_logits: Tensor | None = None


def total_of(losses: dict[str, Tensor]) -> Tensor | None:
    """Their sum; None if there are none."""
    return torch.stack(list(losses.values())).sum() if losses else None


class ReasoningModel(PreTrainedModel):
    """A model with a `language_model`, an `encode_image` and perhaps an `lm_head`.

    Subclasses make the mask of the states that `read` gives.
    """

    main_input_name = "pixel_values"
    frozen_with_vision: tuple[str, ...] = ("vision_tower",)
    """Parts that `model.freeze_vision` keeps as they are."""

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: every part has an initialisation of its own, over which transformers would write N(0, 0.02)."""

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.get_submodule("language_model").get_input_embeddings()  # type: ignore[operator]
        return embeddings

    def encode_image(self, pixel_values: Tensor) -> Any:
        """(B, 3, S, S) uint8 pixels to everything that does not depend on the question."""
        raise NotImplementedError

    def features_of(self, pixel_values: Tensor | None, image: Any) -> Any:
        """`image` as it was given, or the features of the pixels.

        Raises:
            ValueError: neither was given.
        """
        if image is not None:
            return image
        if pixel_values is None:
            raise ValueError("give pixel_values, or image from encode_image")
        return self.encode_image(pixel_values)

    def score_presence(self, query: Tensor) -> Tensor | None:
        """Logits (B,) of whether anything answers, from (B, D) or (B, 1, D); None without a no-target head."""
        head: nn.Module | None = self.presence  # type: ignore[assignment]
        return None if head is None else head(query).flatten()  # (B,)

    def add_losses(
        self,
        losses: dict[str, Tensor],
        masks: Tensor | None,
        presence: Tensor | None,
        states: Tensor | None = None,
        labels: Tensor | None = None,
        learned: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Add the losses of words and of presence to those of the mask, each where there is a target for it.

        Args:
            losses: losses of the mask by name; extended in place.
            masks: (B, H, W) target masks, or None.
            presence: (B,) logits of presence, or None.
            states: (B, L, hidden) language states; needed with `labels`.
            labels: (B, L) ids to predict, or None.
            learned: (B, K) positions before a label, or None for all positions.

        Returns:
            `losses`.
        """
        if labels is not None and (learned is None or learned.shape[1]):  # replies to expressions teach no words
            assert states is not None
            losses["language"] = language_loss(self.lm_head, states, labels, learned)
        if masks is not None and presence is not None:
            losses["presence"] = presence_loss(presence, masks)
        return losses

    def read_embedded(self, embedded: Tensor, attention_mask: Tensor) -> Tensor:
        """Language states (B, L, hidden) of embeddings (B, L, hidden)."""
        language = self.get_submodule("language_model")
        if _is_plainly_causal(language.config):
            # Given only the padding, transformers asks the device whether there is any, and waits for the answer.
            causal = causal_mask(embedded.shape[1], embedded.device)
            attention_mask = causal & attention_mask.bool()[:, None, None]  # (B, 1, L, L)
        states: Tensor = language(
            inputs_embeds=embedded, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        return states

    def read(self, input_ids: Tensor, attention_mask: Tensor, visual_tokens: Tensor) -> Tensor:
        """Language states (B, L, hidden) of token ids with `IMAGE_ID` where the visual tokens go."""
        return self.read_embedded(splice(self.get_input_embeddings(), input_ids, visual_tokens), attention_mask)


def _is_plainly_causal(config: Any) -> bool:
    """Whether every layer attends to all positions before, by kernels that take a mask of true and false."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    slides = getattr(config, "sliding_window", None)
    return config._attn_implementation == "sdpa" and not slides and kinds == {"full_attention"}


@cached_constant
def causal_mask(length: int, device: torch.device) -> Tensor:
    """True on and below the diagonal: (L, L) bool."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def splice(embeddings: nn.Module, input_ids: Tensor, visual_tokens: Tensor) -> Tensor:
    """Embed token ids (B, L) and put visual tokens (B, N, D), in order, where the id is `IMAGE_ID`: (B, L, D)."""
    is_image = input_ids == IMAGE_ID
    words = embeddings(input_ids.clamp(min=0))
    number = (is_image.cumsum(1) - 1).clamp(min=0).unsqueeze(-1).expand(-1, -1, visual_tokens.shape[-1])
    return torch.where(is_image.unsqueeze(-1), visual_tokens.gather(1, number).to(words.dtype), words)


def states_at(states: Tensor, selected: Tensor, count: int) -> Tensor:
    """States (B, L, D) of the selected positions (B, L), `count` a row: (B, count, D)."""
    # An index by mask would wait for the device.
    places = selected.logical_not().int().argsort(dim=1, stable=True)[:, :count]
    return states.gather(1, places.unsqueeze(-1).expand(-1, -1, states.shape[-1]))


def mask_offset(prior: float | None) -> nn.Parameter | None:
    """What is added to all mask logits, (1,): learned, from the log odds of a pixel being target; None for no prior.

    Without it, the quickest way to the share of the background is one direction that all image features grow along.
    """
    return None if prior is None else nn.Parameter(torch.full((1,), math.log(prior / (1 - prior))))


def query_head(hidden: int, dim: int) -> nn.Sequential:
    """LISA's head from a language state to a mask query."""
    return nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, dim), nn.Dropout(0.0))
