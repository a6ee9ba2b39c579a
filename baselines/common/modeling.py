"""Base class of the models: the language model reads question and image, a subclass makes the mask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

from .devices import DTYPES, cached_constant
from .losses import LossOptions, category_loss, dense_losses, language_loss, presence_loss
from .prompt import IMAGE_ID
from .quantised import load_quantised


@dataclass
class MaskOutput(ModelOutput):
    """Output of a model for B questions about images.

    Attributes:
        loss: sum of `losses`, if masks or labels were given.
        losses: weighted losses by name.
        mask_logits: (B, h, w) logits on a reduced canvas; positive on the target.
        presence_logits: (B,) logits, positive where the image has a target; None without a no-target head.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    mask_logits: Tensor | None = None
    presence_logits: Tensor | None = None


class ReasoningModel(PreTrainedModel):
    """A model with a `language_model`, a `presence` head or None, and an `lm_head` if it learns replies.

    Subclasses define `encode_image` and `answer`.
    """

    main_input_name = "pixel_values"
    output_class: type[MaskOutput] = MaskOutput
    frozen_with_vision: tuple[str, ...] = ("vision_tower",)
    """Submodules frozen by `model.freeze_vision`."""
    never_trained: tuple[str, ...] = ()
    """Submodules that the learner always freezes, as loading a checkpoint makes all parameters trainable."""
    learns_replies = True
    """Whether the model has an `lm_head` and labels add a language loss."""
    loss_config: LossOptions = LossOptions()
    mask_weights: tuple[str, ...] = ("bce", "dice")
    """Weights of `loss_config` that the losses of `answer` have."""
    category_head: nn.Module | None
    """Predicts a category for each pixel while training. It is in no configuration and in no saved model."""
    trained_only = ("category_head",)
    """Submodules that are left out when the model is saved."""

    def __init__(self, config: PreTrainedConfig) -> None:
        super().__init__(config)
        self.category_head = None

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *arguments: Any, **keywords: Any) -> Any:
        """Load a checkpoint as transformers does, and those of 8-bit integers too.

        Raises:
            OSError: a file is missing.
            RuntimeError: the tensors do not fit the configuration.
        """
        config = keywords.get("config")
        if config is None:
            config = cls.config_class.from_pretrained(pretrained_model_name_or_path)  # type: ignore[union-attr]
        if getattr(config, "row_quantised", False):
            dtype = keywords.get("dtype")
            known = dtype if isinstance(dtype, torch.dtype) else DTYPES.get(str(dtype), torch.float32)
            return load_quantised(cls, pretrained_model_name_or_path, config, known).eval()
        return super().from_pretrained(pretrained_model_name_or_path, *arguments, **keywords)

    def category_width(self) -> int | None:
        """Return the channels of `image.mask_features`, which a category head reads; None if there are none."""
        return None

    def _init_weights(self, module: nn.Module) -> None:
        """Do nothing: each part initialises itself, and transformers would overwrite it with N(0, 0.02)."""

    def get_input_embeddings(self) -> nn.Module:
        embeddings: nn.Module = self.get_submodule("language_model").get_input_embeddings()  # type: ignore[operator]
        return embeddings

    def encode_image(self, pixel_values: Tensor) -> Any:
        """Compute everything that does not depend on the question from uint8 pixels of the processor, (B, 3, S, S).

        The result has `visual_tokens` (B, N, hidden) and a method `select`.
        """
        raise NotImplementedError

    def answer(
        self, states: Tensor, question_mask: Tensor, image: Any, masks: Tensor | None, **extra: Any
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Make the masks from language states (B, L, hidden).

        Returns:
            The fields of `output_class` besides the losses, and the mask losses; these are empty without `masks`.
        """
        raise NotImplementedError

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        question_mask: Tensor,
        pixel_values: Tensor | None = None,
        image: Any = None,
        masks: Tensor | None = None,
        labels: Tensor | None = None,
        learned: Tensor | None = None,
        categories: Tensor | None = None,
        **extra: Any,
    ) -> Any:
        """Answer one question per row.

        Args:
            input_ids: (B, L) int64, `IMAGE_ID` for each visual token; padded on the right with any id.
            attention_mask: (B, L), 0 on padding.
            question_mask: (B, L) bool, the positions whose states make the mask.
            pixel_values: (B, 3, S, S) pixels; ignored if `image` is given.
            image: result of `encode_image`, to ask several questions about one image.
            masks: (B, H, W) target masks on the canvas, for the mask and presence losses.
            labels: (B, L) ids to predict, -100 elsewhere, for the language loss.
            learned: (B, K) positions before a label, from the processor's `pad`; None computes logits everywhere.
            categories: (B, h, w) uint8 category maps of the size of the mask features, for the category head.
            **extra: arguments of the subclass's `answer`.

        Returns:
            An instance of `output_class`.

        Raises:
            ValueError: neither pixels nor features were given.
        """
        if image is None:
            if pixel_values is None:
                raise ValueError("give pixel_values, or image from encode_image")
            image = self.encode_image(pixel_values)
        seen = self.attended(attention_mask, input_ids, image)
        states = self.read(self.embed(input_ids, image.visual_tokens), seen)
        fields, losses = self.answer(states, question_mask, image, masks, **extra)
        has_words = learned is None or learned.shape[1] > 0  # referring samples have none to learn
        if labels is not None and has_words and self.learns_replies:
            language = language_loss(self.lm_head, states, labels, learned)
            losses["language"] = self.loss_config.language * language
        if masks is not None and fields["presence_logits"] is not None:
            losses["presence"] = self.loss_config.presence * presence_loss(fields["presence_logits"], masks)
        if categories is not None and self.category_head is not None:
            found = self.category_head(image.mask_features)  # (B, C, h, w)
            losses["category"] = self.loss_config.category * category_loss(found, categories)
        total = torch.stack(list(losses.values())).sum() if losses else None
        return self.output_class(loss=total, losses=losses or None, **fields)

    def score_presence(self, query: Tensor) -> Tensor | None:
        """Compute presence logits (B,) from (B, D) or (B, 1, D); None without a no-target head."""
        head: nn.Module | None = self.presence  # type: ignore[assignment]
        return None if head is None else head(query).flatten()  # (B,)

    def embed(self, input_ids: Tensor, visual_tokens: Tensor) -> Tensor:
        """Embed ids (B, L) and insert visual tokens (B, N, hidden) at `IMAGE_ID`: (B, L, hidden)."""
        return splice(self.get_input_embeddings(), input_ids, visual_tokens)

    def attended(self, attention_mask: Tensor, input_ids: Tensor, image: Any) -> Tensor:
        """Return a mask (B, L) of the positions that the language model attends to."""
        return attention_mask

    def read(self, embedded: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute language states (B, L, hidden) from embeddings (B, L, hidden)."""
        language = self.get_submodule("language_model")
        if _is_plainly_causal(language.config):
            # With a padding mask alone, transformers checks on the device for padding and waits for the result.
            causal = causal_mask(embedded.shape[1], embedded.device)
            attention_mask = causal & attention_mask.bool()[:, None, None]  # (B, 1, L, L)
        states: Tensor = language(
            inputs_embeds=embedded, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        return states


class PromptedModel(ReasoningModel):
    """A model that turns the states at the mask tokens into queries and decodes one mask: LISA, PixelLM."""

    mask_offset: nn.Parameter | None

    def make_queries(self, states: Tensor, question_mask: Tensor) -> Tensor:
        """Turn language states (B, L, hidden) into mask queries (B, Q, D)."""
        raise NotImplementedError

    def decode(self, queries: Tensor, image: Any) -> Tensor:
        """Turn queries (B, Q, D) and image features into mask logits (B, h, w)."""
        raise NotImplementedError

    def answer(
        self,
        states: Tensor,
        question_mask: Tensor,
        image: Any,
        masks: Tensor | None,
        groups: Tensor | None = None,
        **_: Any,
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Decode one mask per row; `groups` (B,) turns on PixelLM's refinement loss among the rows of a group."""
        queries = self.make_queries(states, question_mask)
        logits = self.decode(queries, image)
        if self.mask_offset is not None:
            logits = logits + self.mask_offset
        fields = {"mask_logits": logits, "presence_logits": self.score_presence(queries.mean(1))}
        return fields, {} if masks is None else dense_losses(logits, masks, groups, self.loss_config)


def _is_plainly_causal(config: Any) -> bool:
    """Return whether every layer attends to all earlier positions and its kernels accept a bool mask."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    slides = getattr(config, "sliding_window", None)
    return config._attn_implementation == "sdpa" and not slides and kinds == {"full_attention"}


@cached_constant
def causal_mask(length: int, device: torch.device) -> Tensor:
    """Return a (L, L) bool mask, True on and below the diagonal."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


def splice(embeddings: nn.Module, input_ids: Tensor, visual_tokens: Tensor) -> Tensor:
    """Embed token ids (B, L) and insert visual tokens (B, N, D), in order, where the id is `IMAGE_ID`: (B, L, D)."""
    is_image = input_ids == IMAGE_ID
    words = embeddings(input_ids.clamp(min=0))
    number = visual_numbers(input_ids).unsqueeze(-1).expand(-1, -1, visual_tokens.shape[-1])  # (B, L, D)
    return torch.where(is_image.unsqueeze(-1), visual_tokens.gather(1, number).to(words.dtype), words)  # (B, L, D)


def visual_numbers(input_ids: Tensor) -> Tensor:
    """Return (B, L) int64: which visual token stands at each `IMAGE_ID`; any other position has a valid number."""
    return ((input_ids == IMAGE_ID).cumsum(1) - 1).clamp(min=0)


def states_at(states: Tensor, selected: Tensor, count: int) -> Tensor:
    """Gather from states (B, L, D) the `count` positions per row that `selected` (B, L) marks: (B, count, D)."""
    # Indexing with a mask would wait for the device, and ONNX has no stable sort.
    length = selected.shape[1]
    order = selected.long() * length - torch.arange(length, device=selected.device)  # (B, L), all different in a row
    places = order.topk(count, dim=1).indices  # (B, count)
    return states.gather(1, places.unsqueeze(-1).expand(-1, -1, states.shape[-1]))  # (B, count, D)


def mask_offset(prior: float | None) -> nn.Parameter | None:
    """Return a learned offset (1,) of all mask logits, initially the log odds of a target pixel; None for no prior.

    Without it, a new model learns the background share first, by one direction shared by all image features.
    """
    return None if prior is None else nn.Parameter(torch.full((1,), math.log(prior / (1 - prior))))


def query_head(hidden: int, dim: int) -> nn.Sequential:
    """Return LISA's projection from a language state to a mask query."""
    return nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, dim), nn.Dropout(0.0))
