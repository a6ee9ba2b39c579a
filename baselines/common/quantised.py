"""Weights as 8-bit integers with one scale per row: half the size of bfloat16."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils.hub import cached_file

FILE = "model.int8.safetensors"
_SCALE = ".row_scale"
_SMALLEST = 4096
"""Smaller tensors stay in bfloat16: they weigh little, and norms and biases have no rows."""


def quantise_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a tensor (R, ...) to integers from -127 to 127 and one scale per row: the largest magnitude / 127.

    Returns:
        (R, ...) int8 and (R,) float32.
    """
    values = weight.float()
    scale = values.flatten(1).abs().amax(1) / 127
    divisor = torch.where(scale > 0, scale, 1.0).view(-1, *[1] * (values.ndim - 1))
    return (values / divisor).round().to(torch.int8), scale


def restore_rows(integers: Tensor, scale: Tensor) -> Tensor:
    """Multiply integers (R, ...) by their row's scale (R,): (R, ...) float32."""
    return integers.float() * scale.view(-1, *[1] * (integers.ndim - 1))


def save_quantised(model: PreTrainedModel, folder: Path) -> None:
    """Write weights and configuration of a model, which is not changed."""
    stored: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim > 1 and tensor.numel() >= _SMALLEST:
            stored[name], stored[name + _SCALE] = quantise_rows(tensor)
        else:
            stored[name] = tensor.to(torch.bfloat16, copy=True) if tensor.is_floating_point() else tensor.clone()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(stored, folder / FILE)
    settings: dict[str, Any] = {**model.config.to_dict(), "row_quantised": True}
    type(model.config)(**settings).save_pretrained(folder)


def restore_state(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `save_quantised`: float32 weights by name."""
    return {
        name: restore_rows(tensor, stored[name + _SCALE]) if name + _SCALE in stored else tensor
        for name, tensor in stored.items()
        if not name.endswith(_SCALE)
    }


def load_quantised(
    model_class: type[PreTrainedModel], checkpoint: str | Path, config: PreTrainedConfig, dtype: torch.dtype
) -> PreTrainedModel:
    """Load a model that `save_quantised` wrote, from a folder or Hub id.

    Raises:
        OSError: the file is missing.
        RuntimeError: its tensors do not fit the configuration.
    """
    state = restore_state(load_file(str(cached_file(str(checkpoint), FILE))))
    del config.row_quantised  # the restored model is saved like any other
    model: Any = model_class(config)  # transformers types `to` wrongly
    model.load_state_dict(state)
    return model.to(dtype)
