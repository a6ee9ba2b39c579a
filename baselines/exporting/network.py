"""The graph of a whole model, from pixels and token ids to mask logits, by `torch.export` and in ONNX."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from earthreason.errors import EarthReasonError
from earthreason.installing import install_command

from ..common.modeling import ReasoningModel

INPUTS = ("pixels", "input_ids", "attention_mask", "question_mask")
MASK, PRESENCE = "mask_logits", "presence_logits"
LARGEST_BATCH = 1024
_NOISY = ("torch.onnx", "onnxscript", "onnx_ir", "torch.fx", "torch._dynamo", "torch._export")


class Network(nn.Module):
    """A model with plain tensors as inputs and outputs."""

    def __init__(self, model: ReasoningModel) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)

    def forward(
        self, pixels: Tensor, input_ids: Tensor, attention_mask: Tensor, question_mask: Tensor
    ) -> tuple[Tensor, ...]:
        """Return mask logits (B, h, w), and presence logits (B,) of a model with a no-target head, both float32."""
        output = self.model(
            input_ids=input_ids, attention_mask=attention_mask, question_mask=question_mask, pixel_values=pixels
        )
        logits = (output.mask_logits, output.presence_logits)
        return tuple(tensor.float() for tensor in logits if tensor is not None)


def trace_network(network: Network, inputs: dict[str, Tensor], shortest: int, longest: int, onnx: bool) -> Any:
    """Trace a network with any batch size and length of text.

    Args:
        network: network on the CPU.
        inputs: example by `INPUTS`, of at least two rows.
        shortest: fewest tokens of a prompt.
        longest: most tokens of a prompt.
        onnx: whether the program will become ONNX.

    Returns:
        `torch.export.ExportedProgram`.

    Raises:
        EarthReasonError: torch cannot trace the model.
    """
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    length = torch.export.Dim("length", min=shortest, max=longest)
    shapes = {name: {0: batch} if name == "pixels" else {0: batch, 1: length} for name in INPUTS}
    try:
        # With gradients, the model samples by grid_sample, which ONNX has, instead of the faster embedding_bag.
        with torch.set_grad_enabled(onnx), _quiet():
            return torch.export.export(network, tuple(inputs[name] for name in INPUTS), dynamic_shapes=shapes)
    except Exception as error:  # torch raises many kinds for what it cannot trace
        kind = type(network.model).__name__
        raise EarthReasonError(f"torch.export cannot trace {kind}: {_first_line(error)}") from error


def save_onnx(program: Any, path: Path, opset: int | None) -> None:
    """Write a traced program as ONNX.

    Raises:
        EarthReasonError: onnx or onnxscript are not installed, or an operation has no counterpart in ONNX.
    """
    require_onnx()
    names = [MASK, PRESENCE][: len(program.graph_signature.user_outputs)]
    try:
        with _quiet():
            made = cast(Any, torch.onnx).export(
                program,
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=list(INPUTS),
                output_names=names,
            )
            _name_sizes(made.model)
            made.save(str(path))
    except Exception as error:  # of torch, onnxscript or onnx_ir, without a common base
        raise EarthReasonError(f"the model cannot be written as ONNX: {_first_line(error)}") from error


def require_onnx() -> None:
    """Check that the packages of the extra `export` are there.

    Raises:
        EarthReasonError: one is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # type: ignore[import-untyped] # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        remedy = install_command("earthreason-baselines[export]")
        raise EarthReasonError(f"{error.name} is not installed; run {remedy}") from None


def _name_sizes(model: Any) -> None:
    """Call the first two sizes of the inputs `batch` and `length` wherever they occur."""
    import onnx_ir

    ids = model.graph.inputs[1].shape
    names = {str(ids[0]): "batch", str(ids[1]): "length"}
    values = [*model.graph.inputs, *(output for node in model.graph for output in node.outputs)]
    for value in values:
        if value.shape is not None:
            value.shape = onnx_ir.Shape([names.get(str(size), size) for size in value.shape])


def _first_line(error: Exception) -> str:
    """Return the cause that torch gives in its last message, without its advice to developers."""
    while error.__cause__ is not None and isinstance(error.__cause__, Exception):
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporters say about themselves."""
    before = {name: logging.getLogger(name).level for name in _NOISY}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in _NOISY:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)
