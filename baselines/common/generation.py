"""Greedy decoding: the language model writes the reply itself, one token at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from transformers import DynamicCache

from earthreason.errors import EarthReasonError, UnknownNameError

from .modeling import PromptedModel, ReasoningModel
from .processing import Processor
from .prompt import IGNORE

ReplyMode = Literal["forced", "generated"]
REPLY_MODES: tuple[ReplyMode, ...] = get_args(ReplyMode)
"""Whether the mask tokens are put into the prompt, as the papers' evaluations do, or written by the model."""
MOST = 64
"""Tokens after which a reply without end is cut off."""
NOWHERE = -1e4
"""Logit of every pixel, and of presence, where the model wrote no mask token; finite in float16 too."""


@dataclass(frozen=True)
class Reply:
    """What a language model wrote.

    Attributes:
        ids: ids of the tokens, with that at which it stopped.
        states: (tokens, hidden) states that predicted them, after the final norm.
    """

    ids: list[int]
    states: Tensor

    def states_of(self, tokens: Sequence[int]) -> Tensor | None:
        """Return the states that predicted the first of each of `tokens`, (tokens, hidden); None if one is missing."""
        if not set(tokens) <= set(self.ids):
            return None
        return self.states[[self.ids.index(token) for token in tokens]]  # (tokens, hidden)


@torch.inference_mode()
def write_reply(model: Any, ids: Tensor, image: Any, stops: Callable[[list[int]], bool], most: int = MOST) -> Reply:
    """Write the reply to one prompt, always with the likeliest token. Keys and values of earlier tokens are kept.

    Args:
        model: a `ReasoningModel` with an `lm_head`.
        ids: (L,) int64 ids of the prompt, `IMAGE_ID` for each visual token.
        image: features of one image from the model's `encode_image`.
        stops: function of the ids written so far that tells whether the reply ends.
        most: maximum number of tokens.
    """
    ids = ids.unsqueeze(0).to(model.device)  # (1, L)
    embedded = model.embed(ids, image.visual_tokens)
    attended = model.attended(torch.ones_like(ids), ids, image)
    cache, said, states = DynamicCache(), list[int](), list[Tensor]()
    while len(said) < most and not stops(said):
        # By position: the fourth is named past_key_values up to transformers 5.23 and cache since, and a name that is
        # not known is ignored without a word.
        read = model.language_model(None, attended, None, cache, embedded, use_cache=True)
        states.append(read.last_hidden_state[0, -1])
        said.append(int(model.lm_head(states[-1]).argmax()))
        embedded = model.get_input_embeddings()(ids.new_tensor([said[-1:]]))
        attended = torch.cat([attended, attended.new_ones(1, 1)], dim=1)
    return Reply(said, torch.stack(states))


@torch.inference_mode()
def write_masks(
    model: PromptedModel, processor: Processor, image: Any, text: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor | None, list[str]]:
    """Let a model write its replies, one after another, and make the masks from the mask tokens in them.

    Args:
        model: model on its device.
        processor: processor of the model.
        image: features of each question's image, from the model's `encode_image` and `select`.
        text: result of the processor's `pad`, with forced replies, which are taken out again.

    Returns:
        Mask logits (questions, h, w) and presence logits (questions,), or None without a no-target head; both are
        `NOWHERE` where a mask token is missing. And the replies.
    """
    ends, wanted = {processor.tokenizer.eos_token_id}, set(processor.token_ids)
    replies = []
    for row in range(len(text["input_ids"])):
        # What the model learns to write is left out.
        given = text["attention_mask"][row].bool() & (text["labels"][row] == IGNORE)
        own = image.select(torch.tensor([row], device=model.device))
        ids = text["input_ids"][row][given]
        replies.append(write_reply(model, ids, own, lambda said: wanted <= set(said) or not ends.isdisjoint(said)))
    found = [reply.states_of(processor.token_ids) for reply in replies]
    blank = replies[0].states.new_zeros(len(processor.token_ids), replies[0].states.shape[1])
    states = torch.stack([blank if each is None else each for each in found])  # (B, tokens, hidden)
    fields, _ = model.answer(states, torch.ones_like(states[..., 0], dtype=torch.bool), image, None)
    silent = torch.tensor([each is None for each in found], device=model.device)
    presence = fields["presence_logits"]
    return (
        fields["mask_logits"].masked_fill(silent[:, None, None], NOWHERE),
        None if presence is None else presence.masked_fill(silent, NOWHERE),
        [str(processor.tokenizer.decode(reply.ids)) for reply in replies],
    )


def known_reply(name: str, model: ReasoningModel, compiled: bool) -> ReplyMode:
    """Return the kind of reply of a name.

    Raises:
        EarthReasonError: there is no such kind, or the model does not write its mask tokens.
    """
    if name not in REPLY_MODES:
        raise UnknownNameError("reply", name, REPLY_MODES)
    if name == "generated" and not isinstance(model, PromptedModel):
        kind = type(model).__name__.removesuffix("Model")
        raise EarthReasonError(f"--reply generated: the masks of {kind} do not depend on its reply; leave it out")
    if name == "generated" and compiled:
        raise EarthReasonError("--compile is not for --reply generated; leave one of them out")
    return name
