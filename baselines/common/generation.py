"""Greedy decoding: the language model writes the reply itself, one token at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from baselines.common.prompt import IGNORE, TokenPrompt

MOST = 64
"""Tokens after which a reply is cut off, if it has no end."""


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


def opened(prompt: TokenPrompt) -> list[int]:
    """Return the ids of a prompt up to the first one that the model learns to write."""
    return [token for token, label in zip(prompt.input_ids, prompt.labels, strict=True) if label == IGNORE]


@torch.inference_mode()
def write_reply(
    model: Any, ids: Sequence[int], visual_tokens: Tensor, stops: Callable[[list[int]], bool], most: int = MOST
) -> Reply:
    """Write the reply to one prompt, always with the likeliest token, keeping the keys and values of earlier ones.

    Args:
        model: a `ReasoningModel` with an `lm_head`.
        ids: ids of the prompt, `IMAGE_ID` for each visual token.
        visual_tokens: (1, N, hidden) visual tokens of the image.
        stops: function of the ids written so far that tells whether the reply ends.
        most: maximum number of tokens.
    """
    embedded = model.embed(torch.tensor([list(ids)], device=visual_tokens.device), visual_tokens)
    cache, said, states = DynamicCache(), list[int](), list[Tensor]()
    while len(said) < most and not stops(said):
        read = model.language_model(inputs_embeds=embedded, cache=cache, use_cache=True).last_hidden_state
        states.append(read[0, -1])
        said.append(int(model.lm_head(states[-1]).argmax()))
        embedded = model.get_input_embeddings()(torch.tensor([[said[-1]]], device=visual_tokens.device))
    return Reply(said, torch.stack(states) if states else visual_tokens.new_zeros(0, visual_tokens.shape[-1]))
