"""Language model and tokenizer of a new model, pretrained or from scratch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from tokenizers.decoders import ByteLevel
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from earthreason.errors import EarthReasonError

from .processing import add_tokens
from .weights import tokenizer_reason
from .words import load_words

_END = "<|endoftext|>"


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer whose tokens are bytes: it needs no vocabulary file and encodes any text."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: number for number, symbol in enumerate([*alphabet, _END])}
    return _wrapped(_of_bytes(models.BPE(vocab=vocabulary, merges=[])))


def learned_tokenizer(texts: Iterable[str], vocabulary: int = 2048) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on texts: it encodes any text in about a quarter of the tokens of bytes."""
    tokenizer = _of_bytes(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[_END],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _wrapped(tokenizer)


def _of_bytes(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = ByteLevel()
    return tokenizer


def _wrapped(tokenizer: Tokenizer, unknown: str = _END) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, bos_token=_END, unk_token=unknown)


Size = Literal["mini", "tiny", "small"]
Texts = Callable[[], Sequence[str]]
"""Function that returns the questions and answers of the training split, for learned tokenizers."""
_LAYERS: dict[Size, dict[str, Any]] = {
    "mini": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "tiny": {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 6},
    "small": {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6, "num_attention_heads": 8},
}
FOREGROUND_PRIOR = 0.06
"""Share of target pixels in the synthetic scenes, which sets the initial mask logits of new LISA and PixelLM models."""


def patch_of(image_size: int) -> int:
    """Return the patch side of a new ViT in pixels: 16, or less on canvases under 256 px, whose targets are smaller."""
    return min(16, image_size // 16)


def text_width(size: Size) -> int:
    """Return the width of the hidden states of a language model from scratch."""
    return int(_LAYERS[size]["hidden_size"])


def text_config(size: Size, vocabulary: int) -> LlamaConfig:
    """Configure a Llama of a few layers."""
    return LlamaConfig(vocab_size=vocabulary, max_position_embeddings=1024, **_LAYERS[size])


@dataclass
class Language:
    """A pretrained causal language model and its tokenizer.

    Attributes:
        causal: language model with its output layer, float32.
        tokenizer: tokenizer of the language model.
    """

    causal: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def config(self) -> PreTrainedConfig:
        """Configuration of the model, without the quantisation of its file."""
        config = self.causal.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config  # the weights are float32 by now
        return config

    @property
    def base(self) -> dict[str, Tensor]:
        """Weights of the model without its output layer."""
        weights: dict[str, Tensor] = self.causal.base_model.state_dict()
        return weights

    @property
    def head(self) -> Tensor:
        """Weight of the output layer, (vocabulary, hidden)."""
        head = self.causal.get_output_embeddings()
        assert isinstance(head, nn.Linear)
        return head.weight

    def resize(self, vocabulary: int) -> None:
        """Resize embeddings and output layer to a vocabulary that includes added tokens."""
        self.causal.resize_token_embeddings(vocabulary, mean_resizing=False)


def load_language(source: str | Path) -> Language:
    """Load a language model in float32.

    Args:
        source: folder or Hub id of any causal model of transformers, or a `.gguf` file (needs the `gguf` package).

    Raises:
        EarthReasonError: the model cannot be loaded.
    """
    path = Path(source)
    gguf = path.suffix == ".gguf"
    if gguf and not path.is_file():
        raise EarthReasonError(f"{source}: there is no such file")
    folder, options = (str(path.parent), {"gguf_file": path.name}) if gguf else (str(source), {})
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
        causal = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise EarthReasonError(f"{source}: no causal language model can be loaded: {tokenizer_reason(error)}") from None
    return Language(causal, tokenizer)


@dataclass
class TextPart:
    """Language model and tokenizer of a new model.

    Attributes:
        config: configuration of the language model.
        tokenizer: tokenizer including the added tokens.
        token_ids: ids of the added tokens.
        pretrained: pretrained language model; None starts from scratch.
        embeddings: first embeddings of the tokens of a language model from scratch, (tokens, hidden) for the first ids;
            None for random ones.
    """

    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    token_ids: list[int]
    pretrained: Language | None = None
    embeddings: Tensor | None = None

    def load_into(self, model: Any) -> None:
        """Copy what is pretrained, if anything, into a model's `language_model` and its `lm_head`, if it has one."""
        if self.embeddings is not None:
            with torch.no_grad():
                model.get_input_embeddings().weight[: len(self.embeddings)] = self.embeddings
        if self.pretrained is not None:
            model.language_model.load_state_dict(self.pretrained.base)
            if hasattr(model, "lm_head"):
                model.lm_head.load_state_dict({"weight": self.pretrained.head})


def make_text(
    size: Size,
    tokenizer: str,
    language_model: str | None,
    tokens: Sequence[str],
    fixed: Sequence[str],
    texts: Texts,
) -> TextPart:
    """Make language model configuration and tokenizer of a new model.

    Args:
        size: layers and width of a language model from scratch.
        tokenizer: tokenizer of a language model from scratch: `bytes`, `learned`, or a source of `load_words`.
        language_model: pretrained language model to load instead; None starts from scratch.
        tokens: tokens to add to the tokenizer.
        fixed: texts that occur in every prompt, for a vocabulary of the training texts.
        texts: questions and answers, for the same.

    Raises:
        EarthReasonError: the pretrained model or sentence encoder cannot be loaded.
    """
    if language_model is not None:
        language = load_language(language_model)
        ids = add_tokens(language.tokenizer, tokens)
        language.resize(len(language.tokenizer))
        return TextPart(language.config, language.tokenizer, ids, language)
    embeddings = None
    if tokenizer == "bytes":
        made = byte_tokenizer()
    elif tokenizer == "learned":
        made = learned_tokenizer([*fixed, *texts()])
    else:
        words = load_words(tokenizer, [*fixed, *texts()], text_width(size))
        made, embeddings = _wrapped(words.tokenizer, words.unknown), words.embeddings
        # Unlike text, the added tokens are not converted to small letters: "[seg]" in a question stays text.
        made.add_tokens([AddedToken(token, normalized=False) for token in tokens])
    ids = add_tokens(made, tokens)
    return TextPart(text_config(size, len(made)), made, ids, embeddings=embeddings)
