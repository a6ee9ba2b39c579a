"""State of a run as a dictionary of plain tensors, independent of wrapping and sharding."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_state_dict,
)
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def gather_weights(model: nn.Module) -> dict[str, Any]:
    """Gather the full weights on the CPU. All processes must call it; only the first one gets them."""
    return get_model_state_dict(model, options=_WHOLE)


def gather_state(
    model: nn.Module, optimizer: Any, schedule: LRScheduler, average: AveragedModel | None
) -> dict[str, Any]:
    """Gather the state that `restore_state` needs. All processes must call it; only the first one gets all of it."""
    weights, moments = get_state_dict(model, optimizer.optimizer, options=_WHOLE)
    state = {"model": weights, "optimizer": moments, "rate": schedule.state_dict()}
    return state if average is None else {**state, "average": average.state_dict()}


def restore_state(
    state: dict[str, Any], model: nn.Module, optimizer: Any, schedule: LRScheduler, average: AveragedModel | None
) -> None:
    """Restore a state from `gather_state`."""
    set_state_dict(
        model, optimizer.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"], options=_WHOLE
    )
    schedule.load_state_dict(state["rate"])
    if average is not None:
        average.load_state_dict(state["average"])
