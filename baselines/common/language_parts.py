"""Pretrained language models as parts of a new model: LLaMA, Vicuna, Phi and others, and those inside LLaVA."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from earthreason.errors import EarthReasonError, reason_of

from .assembly import Part, load_strictly, local_folder
from .processing import Processor, add_tokens
from .weights import read_tensors

_CONNECTOR = "model.mm_projector."
_BESIDE_WORDS = re.compile(r"model\.(mm_projector|vision_tower)\..*|.*rotary_emb\.inv_freq")
"""Names in the files of LLaVA's own code besides the language model."""


@dataclass(frozen=True)
class LanguagePart:
    """A pretrained language model whose vocabulary has the tokens of a new model.

    Attributes:
        part: its weights as `language_model.*` and `lm_head.weight`.
        config: its configuration.
        tokenizer: tokenizer with the added tokens.
        tokens: added tokens and their ids.
        connector: LLaVA's projection of image features, by names such as `weight`; empty without one.
    """

    part: Part
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    tokens: dict[str, int]
    connector: dict[str, Tensor]

    def without_head(self) -> Part:
        """Return the part for a model that writes no words."""
        tensors = {name: tensor for name, tensor in self.part.tensors.items() if name != "lm_head.weight"}
        return Part(self.part.name, self.part.source, tensors, [*self.part.left_out, "lm_head.weight"])


def load_language_part(source: str, tokens: Sequence[str], dtype: str, marks: Sequence[str] = ()) -> LanguagePart:
    """Load a language model and add tokens to its vocabulary.

    Args:
        source: folder or Hub id of a causal language model, or of a LLaVA, in the format of transformers or of LLaVA's
            own code.
        tokens: tokens to add, such as `[SEG]`.
        dtype: name of the dtype.
        marks: control tokens to add after them, such as those around the image.

    Raises:
        EarthReasonError: there is no such model, or its files do not fit it.
    """
    whole, words, extra = _load(source, dtype)
    tokenizer = Processor.load_tokenizer(source)
    before = set(tokenizer.get_vocab())
    _add(tokenizer, tokens, marks)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    head: Tensor = whole.get_output_embeddings().weight
    used = {id(parameter) for parameter in (*words.parameters(), head)}
    unused = [name for name, parameter in whole.named_parameters() if id(parameter) not in used]
    connector = _connector_of(source) if any(name.startswith(_CONNECTOR) for name in extra) else {}
    left_out = [name for name in (*extra, *unused) if name.removeprefix(_CONNECTOR) not in connector]
    tensors = {f"language_model.{name}": tensor for name, tensor in words.state_dict().items()}
    is_table = head is whole.get_input_embeddings().weight
    tensors["lm_head.weight"] = head.detach().clone() if is_table else head.detach()
    new = sorted((number, token) for token, number in tokenizer.get_vocab().items() if token not in before)
    added = {token: number for number, token in new}
    return LanguagePart(Part("llm", source, tensors, left_out), words.config, tokenizer, added, connector)


def _load(source: str, dtype: str) -> tuple[Any, Any, list[str]]:
    """Return the model in a folder, the language model in it without output layer, and the names that it lacks."""
    settings = _read_settings(source)
    if settings.get("model_type") != "llava":
        whole, extra = load_strictly(AutoModelForCausalLM, source, dtype, _BESIDE_WORDS)
        return whole, whole.base_model, extra
    if "text_config" in settings:
        whole, extra = load_strictly(LlavaForConditionalGeneration, source, dtype, _BESIDE_WORDS)
        return whole, whole.model.language_model, extra
    own = {key: value for key, value in settings.items() if key not in ("model_type", "architectures")}
    whole, extra = load_strictly(LlamaForCausalLM, source, dtype, _BESIDE_WORDS, config=LlamaConfig(**own))
    return whole, whole.base_model, extra


def _read_settings(source: str) -> dict[str, Any]:
    try:
        settings, _ = PreTrainedConfig.get_config_dict(source)
    except (OSError, ValueError) as error:
        raise EarthReasonError(f"{source}: no language model can be loaded: {reason_of(error)}") from None
    return settings


def _add(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str], marks: Sequence[str]) -> None:
    if tokenizer.pad_token is None and tokenizer.unk_token not in (None, tokenizer.eos_token):
        tokenizer.pad_token = tokenizer.unk_token  # as LISA does with LLaMA; no row is added for it
    add_tokens(tokenizer, tokens)
    known = tokenizer.get_vocab()
    tokenizer.add_tokens([mark for mark in marks if mark not in known], special_tokens=True)


def _connector_of(source: str) -> dict[str, Tensor]:
    wanted = re.compile(re.escape(_CONNECTOR) + ".*")
    return {name.removeprefix(_CONNECTOR): tensor for name, tensor in read_tensors(local_folder(source), wanted)}
