"""Pretrained causal language models, from a transformers folder, a Hub id or a GGUF file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from earthreason.errors import EarthReasonError


@dataclass
class Language:
    """A causal language model and its tokenizer.

    Attributes:
        causal: in float32.
        tokenizer: its own.
    """

    causal: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def config(self) -> PreTrainedConfig:
        """Of the model; says nothing of how the file was quantised."""
        config = self.causal.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config  # the weights are float32 by now
        return config

    @property
    def base(self) -> dict[str, Tensor]:
        """Weights without the output layer."""
        weights: dict[str, Tensor] = self.causal.base_model.state_dict()
        return weights

    @property
    def head(self) -> Tensor:
        """Weights of the output layer: (vocabulary, hidden)."""
        head = self.causal.get_output_embeddings()
        assert isinstance(head, nn.Linear)
        return head.weight

    def resize(self, vocabulary: int) -> None:
        """Make room for added tokens."""
        self.causal.resize_token_embeddings(vocabulary, mean_resizing=False)


def load_language(source: str | Path) -> Language:
    """Load a model in float32.

    Args:
        source: folder or Hub id of any causal model of transformers, or a `.gguf` file (needs the `gguf` package).

    Raises:
        EarthReasonError: none can be loaded; says why.
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
        reason = str(error).strip().splitlines()[0]
        raise EarthReasonError(f"{source}: no causal language model can be loaded: {reason}") from None
    return Language(causal, tokenizer)
