"""The answer in words of SegEarth-R1, which the reference code does not decode."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..common.generation import MOST, write_reply
from ..common.prompt import Task, TokenPrompt
from .modeling import SegEarthR1Model
from .prompt import open_reply


@torch.inference_mode()
def generate_reply(
    model: SegEarthR1Model,
    tokenizer: PreTrainedTokenizerBase,
    prompt: TokenPrompt,
    pixel_values: Tensor,
    task: Task,
    max_new_tokens: int = MOST,
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
    ends = {model.config.seg_token_id, tokenizer.eos_token_id}
    ids = torch.tensor([*prompt.input_ids, *open_reply(tokenizer, task)])
    image = model.encode_image(pixel_values)
    reply = write_reply(model, ids, image, lambda said: not ends.isdisjoint(said), max_new_tokens)
    said = [token for token in reply.ids if token not in ends]
    return str(tokenizer.decode(said, skip_special_tokens=True)).strip()
