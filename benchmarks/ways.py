"""Compute SegEarth-R1 as in the reference code and as in this package, with the same weights and results.

In the reference way, the vision tower runs twice, the language model reads the reply with the prompt, attention is a
softmax over explicit scores in the dtype of the run, and the language model keeps its attention maps. In training it
also computes logits for all words at every position, and AdamW updates the parameters one by one. Deformable attention
uses `grid_sample` in both; the kernel that the reference compiles for it is not part of the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PhiConfig

from baselines.common.pixels import normalise
from baselines.common.prompt import IGNORE, IMAGE_ID
from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.losses import MaskLossConfig, mask_losses
from baselines.segearth_r1.modeling import ImageFeatures, SegEarthR1Model

Inputs = dict[str, Tensor]
QUESTION, REPLY, BEFORE = 25, 40, 71
"""Numbers of tokens: question of mean length, reply with an answer, rest of the prompt."""
SIZES = ("reduced", "full", "toy")


def make_config(size: str) -> SegEarthR1Config:
    """Configure the published size, a reduced one for a CPU, or a toy one for trying the code."""
    if size == "full":
        return SegEarthR1Config()
    width, layers, image, depths = (512, 8, 512, (2, 2, 6, 2)) if size == "reduced" else (64, 2, 128, (1, 1, 2, 1))
    text = PhiConfig(
        vocab_size=1000,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64 if size == "reduced" else 2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
    )
    return SegEarthR1Config(
        text_config=text,
        image_size=image,
        vision_dim=64 if size == "reduced" else 16,
        vision_depths=depths,
        vision_heads=(2, 4, 8, 16),
        window_size=12 if size == "reduced" else 4,
        pixel_decoder_layers=6 if size == "reduced" else 2,
        mask_decoder_layers=9 if size == "reduced" else 3,
    )


def make_model(size: str, device: str, dtype: torch.dtype, keeps_maps: bool) -> SegEarthR1Model:
    """Make a model on the device, with random weights that are the same for every way.

    Args:
        size: one of `SIZES`.
        device: device of the weights.
        dtype: dtype of the weights.
        keeps_maps: whether the language model keeps its attention maps; see `keep_maps`.
    """
    config = make_config(size)
    config.drop_path_rate = 0.0  # the two passes of the reference would draw differently
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = SegEarthR1Model(config).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    keep_maps(model, keeps_maps)
    return model


def keep_maps(model: SegEarthR1Model, keeps: bool) -> None:
    """Set whether the language model keeps its attention maps, as in the reference way."""
    model.language_model.config._attn_implementation = "eager" if keeps else "sdpa"


def make_batch(config: SegEarthR1Config, batch: int, reply: bool, device: str) -> Inputs:
    """Make a batch of questions of mean length about random pixels.

    Args:
        config: configuration of the model.
        batch: number of questions.
        reply: whether to append the tokens of a reply.
        device: device of the tensors.
    """
    rng = np.random.default_rng(0)
    words = torch.from_numpy(rng.integers(0, config.text_config.vocab_size, (batch, BEFORE + QUESTION + REPLY)))
    image = torch.full((batch, config.visual_tokens), IMAGE_ID)
    ids = torch.cat([words[:, :56], image, words[:, 56 : None if reply else BEFORE + QUESTION]], dim=1)
    start = BEFORE + config.visual_tokens
    question = torch.zeros(ids.shape, dtype=torch.bool)
    question[:, start : start + QUESTION] = True
    side = config.image_size
    pixels = torch.from_numpy(rng.integers(0, 255, (batch, 3, side, side), dtype=np.uint8))
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "question_mask": question,
        "pixel_values": pixels,
    }
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def make_training_batch(config: SegEarthR1Config, batch: int, device: str) -> Inputs:
    """Make a batch with replies to learn, and masks in blocks of 32 pixels of which a fifth are target."""
    inputs = make_batch(config, batch, reply=True, device=device)
    length = inputs["input_ids"].shape[1]
    labels = inputs["input_ids"].clone()
    labels[:, :-REPLY] = IGNORE
    learned = torch.arange(length - REPLY - 1, length - 1, device=device).expand(batch, -1)
    rng = np.random.default_rng(1)
    blocks = torch.from_numpy(rng.random((batch, config.image_size // 32, config.image_size // 32)) < 0.2)
    masks = blocks.repeat_interleave(32, 1).repeat_interleave(32, 2).to(device)
    return {**inputs, "labels": labels, "learned": learned, "masks": masks}


def explicit_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **_: object,
) -> Tensor:
    """Compute attention as a softmax over explicit scores, in the dtype of the arguments."""
    scores = query @ key.transpose(-2, -1) * (scale or 1 / math.sqrt(query.shape[-1]))
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return scores.softmax(-1) @ value


@contextmanager
def explicit() -> Iterator[None]:
    """Make all attention outside the language model compute explicit scores."""
    fused = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = explicit_attention
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused


def infer_ours(model: SegEarthR1Model, inputs: Inputs) -> Tensor:
    """Compute mask logits (B, S/4, S/4) in our way."""
    logits: Tensor = model(**inputs).mask_logits
    return logits


def infer_as_reference(model: SegEarthR1Model, inputs: Inputs) -> Tensor:
    """Compute the same logits in the reference way; `inputs` include a reply, and `model` keeps its attention maps."""
    with explicit():
        _, logits, _ = _read_as_reference(model, inputs)
    return logits[-1].squeeze(1)


def loss_ours(model: SegEarthR1Model, inputs: Inputs) -> Tensor:
    """Compute the sum of all losses, a scalar, in our way."""
    loss: Tensor = model(**inputs).loss
    return loss


def loss_as_reference(model: SegEarthR1Model, inputs: Inputs) -> Tensor:
    """Compute the same loss in the reference way; `model` keeps its attention maps."""
    with explicit():
        states, logits, _ = _read_as_reference(model, inputs)
    every = model.lm_head(states)[:, :-1].flatten(0, 1).float()
    language = F.cross_entropy(every, inputs["labels"][:, 1:].flatten(), ignore_index=IGNORE)
    return torch.stack([*mask_losses(logits, inputs["masks"], MaskLossConfig()).values(), language]).sum()


def _read_as_reference(model: SegEarthR1Model, inputs: Inputs) -> tuple[Tensor, list[Tensor], Tensor | None]:
    """Compute states (B, L, hidden), mask logits of each decoder step, and presence logits."""
    pixels = normalise(inputs["pixel_values"]).to(model.dtype)
    visual = model.connector(model.vision_tower(pixels)[-1])
    ids = inputs["input_ids"]
    place = ((ids == IMAGE_ID).cumsum(1) - 1).clamp(min=0)
    spread = visual.gather(1, place.unsqueeze(-1).expand(-1, -1, visual.shape[-1]))
    words = model.get_input_embeddings()(ids.clamp(min=0))
    words = torch.where((ids == IMAGE_ID).unsqueeze(-1), spread.to(words.dtype), words)
    read = model.language_model(
        inputs_embeds=words, attention_mask=inputs["attention_mask"], use_cache=False, output_attentions=True
    )
    features = model.vision_tower(pixels)
    image = ImageFeatures(features[-1], visual, *model.pixel_decoder(features))
    _, logits, presence = model.decode(read.last_hidden_state, inputs["question_mask"], image)
    return read.last_hidden_state, logits, presence
