"""Tools for converters of published checkpoints: name tables, a strict report, pickled arrays, and writing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from earthreason.data.sources.pickles import load_pickle
from earthreason.errors import DataFormatError, EarthReasonError
from earthreason.files import atomic_path, refuse_taken

from .devices import DTYPES
from .processing import Processor

Table = tuple[tuple[str, str], ...]
"""Patterns for the start of published names, and our replacements; the first match is used."""


@dataclass
class Report:
    """Result of converting the tensors of a checkpoint.

    Attributes:
        dropped: published names known to be unused.
        unknown: published names that our model does not have.
        missing: our names that no published tensor filled.
        misshapen: descriptions, "name: found (..), expected (..)".
        repeated: published names that mean a tensor which an earlier name gave.
    """

    dropped: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    def check(self, source: str, model: str) -> None:
        """Raise `EarthReasonError`, with the first names of each kind, if the checkpoint does not fit the `model`."""
        kinds = {
            "unknown": self.unknown,
            "missing": self.missing,
            "with another shape": self.misshapen,
            "given twice": self.repeated,
        }
        lines = [
            f"  {len(names)} tensors {kind}: {'; '.join(names[:5])}{'; ...' if len(names) > 5 else ''}"
            for kind, names in kinds.items()
            if names
        ]
        if lines:
            raise EarthReasonError(f"{source} is not a {model} checkpoint of this configuration:\n" + "\n".join(lines))


def rename(name: str, table: Table) -> str:
    """Replace the start of a name by the first matching pattern; return other names unchanged."""
    for pattern, replacement in table:
        renamed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            return renamed
    return name


def convert_tensors(
    published: Iterable[tuple[str, Tensor]],
    expected: Mapping[str, torch.Size],
    translate: Callable[[str, Tensor], dict[str, Tensor]],
    unused: re.Pattern[str],
) -> tuple[dict[str, Tensor], Report]:
    """Convert published tensors to ours and report those that do not fit.

    Args:
        published: published names and tensors.
        expected: our names and shapes.
        translate: function from a published name and tensor to our names and tensors.
        unused: pattern of published names that nothing uses.
    """
    report, state, wrong = Report(), {}, set()
    for name, tensor in published:
        if unused.fullmatch(name):
            report.dropped.append(name)
            continue
        for ours, value in translate(name, tensor).items():
            if ours not in expected:
                report.unknown.append(name)
            elif value.shape != expected[ours]:
                report.misshapen.append(f"{name}: found {tuple(value.shape)}, expected {tuple(expected[ours])}")
                wrong.add(ours)
            elif ours in state:
                report.repeated.append(name)
            else:
                state[ours] = value
    report.missing = sorted(name for name in expected if name not in state and name not in wrong)
    return state, report


def shapes_of(model_class: type[PreTrainedModel], config: PreTrainedConfig) -> dict[str, torch.Size]:
    """Return names and shapes of a model's tensors without allocating it."""
    with torch.device("meta"):
        model = model_class(config)
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def save_checkpoint(
    model_class: type[PreTrainedModel],
    config: PreTrainedConfig,
    state: Mapping[str, Tensor],
    processor: Processor,
    target: Path,
    dtype: str,
) -> None:
    """Write weights, configuration and tokenizer to a new folder, atomically.

    Raises:
        EarthReasonError: the folder exists and is not empty.
    """
    refuse_taken(target)
    with torch.device("meta"):
        model = model_class(config)
    wanted = DTYPES[dtype]
    # Counters, such as the batches that a BatchNorm has seen, stay integers.
    cast = {name: tensor.to(wanted) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    model.load_state_dict(cast, strict=True, assign=True)
    with atomic_path(target) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)


_ARRAYS = frozenset(
    {
        ("collections", "OrderedDict"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "scalar"),
        ("_codecs", "encode"),
    }
)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a pickled checkpoint `{"model": {name: array}}` or `{name: array}`.

    Raises:
        DataFormatError: the file is not such a pickle, or holds objects other than arrays in plain containers.
    """
    content = load_pickle(path, _ARRAYS)
    content = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, np.ndarray) for value in content.values()):
        raise DataFormatError(f"{path}: contains no table of arrays")
    return {str(name): value for name, value in content.items()}
