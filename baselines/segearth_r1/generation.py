"""Greedy decoding of the answer in words, which the reference code lacks."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedTokenizerBase

from baselines.common.prompt import IMAGE_ID, Task, TokenPrompt
from baselines.segearth_r1.modeling import SegEarthR1Model
from baselines.segearth_r1.prompt import open_reply


def generate_reply(
    model: SegEarthR1Model,
    tokenizer: PreTrainedTokenizerBase,
    prompt: TokenPrompt,
    pixel_values: Tensor,
    task: Task,
    max_new_tokens: int = 64,
) -> str:
    """Generate the answer up to `[SEG]`, the end token or `max_new_tokens`.

    Args:
        model: model to generate with.
        tokenizer: tokenizer of the model.
        prompt: prompt of one question, without reply.
        pixel_values: (1, 3, S, S) pixels of the image.
        task: task of the prompt.
        max_new_tokens: maximum number of tokens to generate.
    """
    ids = torch.tensor([[*prompt.input_ids, *open_reply(tokenizer, task)]], device=pixel_values.device)
    visual = model.encode_image(pixel_values).visual_tokens
    embed = model.get_input_embeddings()
    embeddings = embed(ids.masked_fill(ids == IMAGE_ID, 0))
    embeddings[ids == IMAGE_ID] = visual[0].to(embeddings.dtype)
    ends = {model.config.seg_token_id, tokenizer.eos_token_id}
    cache, said = DynamicCache(), []
    for _ in range(max_new_tokens):
        states = model.language_model(inputs_embeds=embeddings, cache=cache, use_cache=True).last_hidden_state
        token = int(model.lm_head(states[:, -1]).argmax())
        if token in ends:
            break
        said.append(token)
        embeddings = embed(torch.tensor([[token]], device=ids.device))
    return str(tokenizer.decode(said, skip_special_tokens=True)).strip()
