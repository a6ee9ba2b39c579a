"""Small SegEarth-R1s: for tests, for trying the commands, and for training without a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel
from transformers import LlamaConfig, PreTrainedTokenizerFast

from baselines.segearth_r1.configuration import SegEarthR1Config
from baselines.segearth_r1.modeling import SegEarthR1Model
from baselines.segearth_r1.processing import SegEarthR1Processor, add_tokens

_END = "<|endoftext|>"
Size = Literal["mini", "tiny"]


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are bytes: it needs no vocabulary file and reads any text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: number for number, symbol in enumerate([*alphabet, _END])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, bos_token=_END, unk_token=_END)


def learned_tokenizer(texts: Iterable[str], vocabulary: int = 2048) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer learned from texts: a quarter of the tokens, still able to read anything."""
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), special_tokens=[_END],
        show_progress=False,
    )  # fmt: skip
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, bos_token=_END, unk_token=_END)


_TEXT: dict[str, dict[str, Any]] = {
    "mini": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "tiny": {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 6},
}
_VISION: dict[str, dict[str, Any]] = {
    "mini": {"vision_dim": 16, "vision_depths": (1, 1, 2, 1), "description_dim": 64, "description_heads": 2,
             "decoder_dim": 64, "pixel_decoder_ffn": 128, "mask_decoder_ffn": 128},
    "tiny": {"vision_dim": 32, "vision_depths": (2, 2, 4, 2), "description_dim": 128, "description_heads": 4,
             "decoder_dim": 96, "pixel_decoder_ffn": 256, "mask_decoder_ffn": 256},
}  # fmt: skip


def tiny_config(
    vocabulary: int, seg_token_id: int, image_size: int = 256, size: Size = "mini", **changes: Any
) -> SegEarthR1Config:
    """The architecture at small width, with a Llama in Phi's place.

    Args:
        vocabulary: of the tokenizer.
        seg_token_id: id of `[SEG]`.
        image_size: side of the canvas, pixels.
        size: `mini` has half a million parameters, for tests; `tiny` six million, what a CPU can train.
        **changes: of other settings of the configuration.
    """
    text = LlamaConfig(vocab_size=vocabulary, max_position_embeddings=1024, **_TEXT[size])
    return SegEarthR1Config(
        text_config=text, image_size=image_size, seg_token_id=seg_token_id, **{
            "vision_heads": (1, 2, 4, 8), "window_size": 8, "drop_path_rate": 0.1, "description_head_dim": 32,
            "decoder_heads": 4, "pixel_decoder_layers": 2, "mask_decoder_layers": 3, **_VISION[size], **changes,
        },
    )  # fmt: skip


def small_parts() -> dict[str, Any]:
    """Settings of a small image encoder and small decoders, to go with a pretrained language model."""
    return {
        "vision_dim": 48, "vision_depths": (2, 2, 6, 2), "vision_heads": (2, 4, 8, 16), "window_size": 8,
        "drop_path_rate": 0.1, "description_dim": 192, "description_heads": 6, "description_head_dim": 32,
        "decoder_dim": 128, "decoder_heads": 4, "pixel_decoder_layers": 3, "pixel_decoder_ffn": 512,
        "mask_decoder_layers": 6, "mask_decoder_ffn": 512,
    }  # fmt: skip


def make_tiny(
    seed: int = 0,
    image_size: int = 256,
    size: Size = "mini",
    tokenizer: PreTrainedTokenizerFast | None = None,
    **changes: Any,
) -> tuple[SegEarthR1Model, SegEarthR1Processor]:
    """A random model with a tokenizer, of bytes unless one is given, and its processor."""
    tokenizer = tokenizer or byte_tokenizer()
    seg = add_tokens(tokenizer)
    config = tiny_config(len(tokenizer), seg, image_size, size, **changes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SegEarthR1Model(config)
    return model.eval(), SegEarthR1Processor.for_model(config, tokenizer)


def save_tiny(folder: Path, seed: int = 0) -> Path:
    """Write a tiny checkpoint."""
    model, processor = make_tiny(seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
