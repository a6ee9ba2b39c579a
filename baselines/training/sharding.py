"""Sharding of weights, gradients and optimizer state with FSDP2 (arXiv 2304.11277; ZeRO, 1910.02054)."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from transformers import PreTrainedModel

from .config import Shard


def shard_model(model: PreTrainedModel, kind: Shard, device: torch.device, processes: int) -> None:
    """Shard a model in place, each layer of the language model on its own and then the rest.

    Args:
        model: model on `device`.
        kind: `gradients` keeps gathered weights between forward and backward (ZeRO-2), `everything` does not (ZeRO-3).
        device: device of this process.
        processes: number of processes in the torch.distributed group.
    """
    mesh = init_device_mesh(device.type, (processes,))
    again = kind == "everything"
    for layer in language_layers(model):
        fully_shard(layer, mesh=mesh, reshard_after_forward=again)
    fully_shard(model, mesh=mesh, reshard_after_forward=again)


def language_layers(model: nn.Module) -> list[nn.Module]:
    """Return the transformer blocks of the language model: the members of its longest list of modules."""
    assert isinstance(model.language_model, nn.Module)
    lists = [list(module) for module in model.language_model.modules() if isinstance(module, nn.ModuleList)]
    return max(lists, key=len, default=[])


def exchange_gradients(model: nn.Module, now: bool) -> None:
    """Set whether the next backward pass sums gradients over the processes or only accumulates them."""
    assert isinstance(model, FSDPModule)
    model.set_requires_gradient_sync(now)
