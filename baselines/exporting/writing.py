"""Write the folder of an exported model: the graph, tokenizer, facts, a program that asks it, and a README."""

from __future__ import annotations

import json
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from jinja2 import Environment, StrictUndefined

from earthreason.data.checksums import sha256_of
from earthreason.data.load import load_dataset
from earthreason.data.schema import sample_of_row
from earthreason.errors import DataFormatError, EarthReasonError, UnknownNameError
from earthreason.files import atomic_path, refuse_taken, write_json, write_text

from ..checkpoints import locate_checkpoint
from ..common.devices import DTYPES
from ..common.predictor import MaskPredictor, find_config
from ..registry import MODELS, PredictorOptions, build_predictor, trainable_models
from ..shipping.card import front_matter
from . import standalone
from .checking import PIXEL_SHARES, TOLERANCES, Comparison, compare_models
from .network import INPUTS, Network, require_onnx, save_onnx, trace_network
from .prompts import describe_prompt
from .runtime import FACTS, FORMATS, TOKENIZER, TracedModel

PROGRAM, README = "ask.py", "README.md"
FILES = {"torch-export": "model.pt2", "onnx": "model.onnx"}
_README = Path(__file__).with_name("readme.md")
_CHECKED = "test[:4]"
"""Samples that come with the package, whose first questions the exported model is checked on."""


@dataclass(frozen=True)
class Exported:
    """What `export_checkpoint` wrote.

    Attributes:
        model: name of the model.
        bytes: size of the graph with its weights, in bytes.
        comparison: differences from the checkpoint.
    """

    model: str
    bytes: int
    comparison: Comparison


def export_checkpoint(
    checkpoint: str, out: Path, kind: str, dtype: str = "float32", opset: int | None = None, task: str | None = None
) -> Exported:
    """Export a checkpoint with its weights, and compare the result with it before the folder appears.

    Args:
        checkpoint: folder, Hub id or shipped name.
        out: folder to write; it must not exist, or be empty.
        kind: `torch-export` or `onnx`.
        dtype: name of the dtype of the weights.
        opset: version of ONNX's operations; None for that of torch.
        task: kind of question, which sets the wording of the prompt; None keeps the checkpoint's.

    Raises:
        EarthReasonError: an argument does not fit, the model cannot be exported, or the result differs too much.
    """
    _check_arguments(out, kind, dtype, opset)
    name = model_of(checkpoint)
    predictor: MaskPredictor = build_predictor(name, PredictorOptions(checkpoint=checkpoint, dtype=dtype, task=task))  # type: ignore[type-arg, assignment]
    rows = load_dataset("earthreason", "sample", split=_CHECKED)
    samples = [sample_of_row(row) for row in rows]
    processor = predictor.processor
    prompt = describe_prompt(processor, predictor.task)
    prompts = [processor.prompt(sample.questions[0], predictor.task) for sample in samples]
    inputs = {"pixels": processor.pixels([sample.image for sample in samples]), **processor.pad(prompts)}
    network = Network(predictor.model)
    shortest = len(prompt["ids_before"]) + len(prompt["ids_after"]) + 1
    example = {key: inputs[key] for key in INPUTS}
    program = trace_network(network, example, shortest, processor.max_length, kind == "onnx")
    with atomic_path(out) as folder:
        folder.mkdir()
        if kind == "onnx":
            save_onnx(program, folder / FILES[kind], opset)
        else:
            torch.export.save(program, folder / FILES[kind])
        _save_tokenizer(processor.tokenizer, folder)
        facts = _facts(name, checkpoint, kind, dtype, predictor, prompt, inputs["pixels"].shape[1])
        facts["files"] = {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in sorted(folder.iterdir())
        }
        write_json(folder / FACTS, facts)
        comparison = compare_models(TracedModel(folder), predictor, network, samples)
        comparison.check(dtype)
        facts["check"] = {
            "data": f"earthreason sample {_CHECKED}",
            **asdict(comparison),
            "tolerance": TOLERANCES[dtype],
            "differing_share": PIXEL_SHARES[dtype],
        }
        write_json(folder / FACTS, facts)
        if kind == "onnx":
            shutil.copyfile(str(standalone.__file__), folder / PROGRAM)
        size = sum(entry["bytes"] for file, entry in facts["files"].items() if file != TOKENIZER)
        write_text(folder / README, _write_readme(facts, size, _licence_of(checkpoint)))
    return Exported(name, size, comparison)


def model_of(checkpoint: str) -> str:
    """Return the name of the model of a checkpoint in our format.

    Raises:
        EarthReasonError: the checkpoint is missing, or of no model that can be exported.
    """
    path = find_config(locate_checkpoint(checkpoint))
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise DataFormatError(f"{path}: not the configuration of a model") from None
    name = str(kind).removeprefix("earthreason_")
    if name not in trainable_models():
        if (Path(checkpoint) / "final" / "config.json").is_file():
            raise EarthReasonError(f"{checkpoint} is the folder of a run; give the model in it: {checkpoint}/final")
        raise EarthReasonError(f"{checkpoint} contains a {kind} model; {', '.join(trainable_models())} can be exported")
    return MODELS[name].name


def _check_arguments(out: Path, kind: str, dtype: str, opset: int | None) -> None:
    if kind not in FORMATS:
        raise UnknownNameError("format", kind, FORMATS)
    if dtype not in DTYPES:
        raise UnknownNameError("dtype", dtype, DTYPES)
    if kind == "onnx":
        require_onnx()
        if dtype == "bfloat16":
            raise EarthReasonError("onnxruntime does not compute in bfloat16 on a CPU; give --dtype float32 or float16")
        import onnx

        if opset is not None and opset > (newest := onnx.defs.onnx_opset_version()):
            raise EarthReasonError(f"--opset {opset}: the installed onnx knows opsets up to {newest}")
    elif opset is not None:
        raise EarthReasonError("--opset is for --format onnx; leave it out")
    refuse_taken(out)


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise EarthReasonError(f"{type(tokenizer).__name__} has no tokenizer.json, which an exported model needs")
    backend.save(str(folder / TOKENIZER))


def _facts(
    name: str,
    checkpoint: str,
    kind: str,
    dtype: str,
    predictor: MaskPredictor,  # type: ignore[type-arg]
    prompt: dict[str, Any],
    channels: int,
) -> dict[str, Any]:
    side = predictor.processor.image_size
    outputs = {"mask_logits": {"shape": ["batch", "height", "width"], "dtype": "float32"}}
    if predictor.model.presence is not None:
        outputs["presence_logits"] = {"shape": ["batch"], "dtype": "float32"}
    text = {"shape": ["batch", "length"]}
    packages = ("earthreason", "torch", "transformers", *(("onnx", "onnxruntime") if kind == "onnx" else ()))
    return {
        "format": kind,
        "file": FILES[kind],
        "model": name,
        "checkpoint": Path(checkpoint).name if Path(checkpoint).is_absolute() else checkpoint,
        "dtype": dtype,
        "canvas_side": side,
        "channels": channels,
        "no_target_threshold": predictor.no_target_threshold,
        "task": predictor.task,
        "inputs": {
            "pixels": {"shape": ["batch", channels, side, side], "dtype": "uint8"},
            "input_ids": {**text, "dtype": "int64"},
            "attention_mask": {**text, "dtype": "int64"},
            "question_mask": {**text, "dtype": "bool"},
        },
        "outputs": outputs,
        "prompt": prompt,
        "versions": {"python": platform.python_version(), **{package: _version(package) for package in packages}},
    }


def _version(package: str) -> str:
    if package == "earthreason":
        import earthreason

        return earthreason.__version__
    return version(package)


def _licence_of(checkpoint: str) -> str:
    """Return the licence in the card of a checkpoint, as the Hub writes it."""
    from huggingface_hub import ModelCard

    card = Path(locate_checkpoint(checkpoint)) / README
    if not card.is_file():
        return "unknown"
    try:
        return str(
            ModelCard(card.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.get("license") or "unknown"
        )
    except (ValueError, yaml.YAMLError):  # a card by others
        return "unknown"


def _write_readme(facts: dict[str, Any], size: int, licence: str) -> str:
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string(_README.read_text(encoding="utf-8")).render(
        front=front_matter(facts["model"], licence),
        facts=facts,
        megabytes=f"{size / 1e6:.1f}",
        program=PROGRAM.removesuffix(".py"),
    )
