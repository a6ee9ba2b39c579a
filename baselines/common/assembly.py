"""Build an untrained model from pretrained parts, without holding any weight twice."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from earthreason.errors import EarthReasonError, reason_of
from earthreason.files import write_json
from earthreason.plurals import count_of

from .conversion import Report, convert_tensors, save_checkpoint, shapes_of
from .devices import DTYPES
from .predictor import MaskPredictor

RECORD = "assembly.json"
"""File in the checkpoint that says which part each weight came from."""
_WANTED_FILES = ("*.json", "*.safetensors", "*.bin")
_NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True)
class Part:
    """Weights of one pretrained part.

    Attributes:
        name: option that named it, such as `clip`.
        source: folder, file or Hub id.
        tensors: its weights by our names.
        left_out: its names that the model has no use for.
    """

    name: str
    source: str
    tensors: Mapping[str, Tensor]
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Assembly:
    """What an assembled model was made of.

    Attributes:
        parts: pretrained parts.
        tokens: ids of the tokens that were added, whose embeddings start new.
        new: number of values of each tensor that starts new.
        total: number of all values.
    """

    parts: list[Part]
    tokens: dict[str, int]
    new: dict[str, int]
    total: int

    def lines(self) -> list[str]:
        """Describe every part, and whatever starts new, in one line each."""
        found = [
            f"{part.name} {part.source}: {len(part.tensors)} tensors{_listed(part.left_out)}" for part in self.parts
        ]
        tokens = ", ".join(f"{token} {number}" for token, number in self.tokens.items())
        sizes = Counter[str]()
        for name, count in self.new.items():
            sizes[name.split(".")[0]] += count
        new = ", ".join(f"{module} ({count_of(count, 'value')})" for module, count in sizes.items())
        return [*found, f"new tokens, with new embeddings: {tokens or 'none'}", f"new: {new or 'nothing'}"]

    def record(self) -> dict[str, Any]:
        """Return the same as JSON, with all names."""
        parts = {p.name: {"source": p.source, "tensors": len(p.tensors), "left_out": p.left_out} for p in self.parts}
        return {"parts": parts, "new_tokens": self.tokens, "new_tensors": sorted(self.new)}


def _listed(names: list[str]) -> str:
    """Say which names are left out, by their first two parts."""
    groups = Counter(".".join(name.split(".")[:2]) for name in names)
    return f"; left out: {', '.join(f'{group} ({count})' for group, count in groups.items())}" if groups else ""


def assemble_model(
    predictor: type[MaskPredictor[Any]],
    config: PreTrainedConfig,
    parts: list[Part],
    tokenizer: PreTrainedTokenizerBase,
    tokens: Mapping[str, int],
    may_be_new: re.Pattern[str],
    target: Path,
    dtype: str,
) -> Assembly:
    """Fill a model from its parts, initialise the rest as a new model, and write it.

    Args:
        predictor: predictor class, which names the classes of the model.
        config: configuration of the model.
        parts: pretrained parts, in `dtype`.
        tokenizer: tokenizer that knows `tokens`.
        tokens: tokens that were added, and their ids.
        may_be_new: our names that may start new; any other must be in a part.
        target: folder to write; must not exist, or be empty.
        dtype: name of the dtype to write.

    Raises:
        EarthReasonError: names or shapes of the parts are not as expected (all listed), or a value is not finite.
    """
    expected = shapes_of(predictor.model_class, config)
    given = chain.from_iterable(part.tensors.items() for part in parts)
    state, report = convert_tensors(given, expected, lambda name, tensor: {name: tensor}, _NOTHING)
    new = [name for name in report.missing if may_be_new.fullmatch(name)]
    report.missing = [name for name in report.missing if not may_be_new.fullmatch(name)]
    report.check(", ".join(part.source for part in parts), predictor.model_class.__name__)
    state |= fresh_weights(predictor.model_class, config, new)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise EarthReasonError(f"{name} has values that are not finite; {_origin(name, parts)}")
    save_checkpoint(
        predictor.model_class, config, state, predictor.processor_class.for_model(config, tokenizer), target, dtype
    )
    sizes = {name: state[name].numel() for name in new}
    made = Assembly(parts, dict(tokens), sizes, sum(tensor.numel() for tensor in state.values()))
    write_json(target / RECORD, made.record())
    return made


def _origin(name: str, parts: Iterable[Part]) -> str:
    source = next((part.source for part in parts if name in part.tensors), "a new part")
    return f"it is from {source}"


def fresh_weights(
    model_class: type[PreTrainedModel], config: PreTrainedConfig, names: Iterable[str], seed: int = 0
) -> dict[str, Tensor]:
    """Return weights of a new model by name. None may be in a layer of an encoder or language model.

    Those layers are not made, as a language model of full size would take the memory of the pretrained one again.
    """
    shallow = copy.deepcopy(config)
    inside = [shallow]
    while inside:
        part = inside.pop()
        if hasattr(part, "num_hidden_layers"):
            part.num_hidden_layers = 0
        inside += [getattr(part, name) for name in part.sub_configs]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        weights = model_class(shallow).state_dict()
    return {name: weights[name] for name in names}


def load_strictly(
    model_class: Any, source: str, dtype: str, unused: re.Pattern[str] = _NOTHING, **options: Any
) -> tuple[Any, list[str]]:
    """Load a model of transformers straight in a dtype, and refuse files that do not fit it exactly.

    Args:
        model_class: class with `from_pretrained`.
        source: folder or Hub id.
        dtype: name of the dtype.
        unused: pattern of names in the files that the model may lack.
        **options: further arguments of `from_pretrained`.

    Returns:
        The model, and the names in the files that it lacks.

    Raises:
        EarthReasonError: the model cannot be loaded, or names or shapes are not as expected (all listed).
    """
    try:
        model, info = model_class.from_pretrained(
            source, dtype=DTYPES[dtype], output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise EarthReasonError(f"{source}: no {model_class.__name__} can be loaded: {reason_of(error)}") from None
    extra = sorted(info["unexpected_keys"])
    wrong = [f"{name}: found {tuple(f)}, expected {tuple(e)}" for name, f, e in info["mismatched_keys"]]
    unknown = [name for name in extra if not unused.fullmatch(name)]
    Report(unknown=unknown, missing=sorted(info["missing_keys"]), misshapen=wrong).check(source, model_class.__name__)
    return model, [name for name in extra if unused.fullmatch(name)]


def local_folder(source: str) -> Path:
    """Return a folder as it is, or download the weights and settings of a Hub id.

    Raises:
        EarthReasonError: there is no such folder or Hub id.
    """
    if Path(source).is_dir():
        return Path(source)
    try:
        return Path(snapshot_download(source, allow_patterns=list(_WANTED_FILES)))
    except (OSError, ValueError) as error:
        raise EarthReasonError(f"{source} is no folder, and cannot be downloaded: {reason_of(error)}") from None
