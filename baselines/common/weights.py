"""Read the tensors of published checkpoints, whatever files, shards, wrappers and adapters they were saved with."""

from __future__ import annotations

import json
import logging
import math
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from earthreason.errors import DataFormatError, DataNotFoundError, EarthReasonError, reason_of

logger = logging.getLogger("earthreason.baselines")
_SETS = (
    ("model.safetensors.index.json", "model.safetensors", "model-*.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model.bin", "pytorch_model-*.bin"),
    ("", "mp_rank_00_model_states.pt", ""),
)
"""Index, single file and shards of each format, the preferred first; the last is DeepSpeed's."""
_UNPICKLING = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors of `torch.load` for damaged files."""
_SETTINGS = "adapter_config.json"
_ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
_WRAPPERS = re.compile(r"^(?:module\.|_orig_mod\.|_fsdp_wrapped_module\.|base_model\.model\.)+")
_NESTED = ("module", "state_dict", "model")
_SHARD = re.compile(r".*-(\d+)-of-(\d+)\.\w+")
_BASE = re.compile(r"(.*)\.base_layer\.(weight|bias)")
_SAVED = re.compile(r"(.*)\.modules_to_save\.(?:\w+\.)?(weight|bias)")
_ORIGINAL = re.compile(r".*\.original_module\..*")
_FOR_SLOW_TOKENIZERS = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}
"""Packages that read a `tokenizer.model`, and their modules."""
_HOW = "merge them with peft's merge_and_unload() and save the model, then convert that"
_LORA = re.compile(r"(.*)\.lora_(A|B|embedding_A|embedding_B|magnitude_vector)(?:\.(\w+?))?(?:\.weight)?")


def read_tensors(folder: Path, wanted: re.Pattern[str] | None = None) -> Iterator[tuple[str, Tensor]]:
    """Yield names and tensors of a checkpoint, or only those whose name is `wanted`.

    The index, if there is one, names the files. Names lose the prefixes of wrappers such as `module.`. Low-rank
    adapters are merged by the settings in `adapter_config.json`.

    Raises:
        EarthReasonError: there are no weights, a file is missing or cannot be read, two tensors have the same name, a
            value is not finite, or adapters cannot be merged.
    """
    with ExitStack() as stack:
        try:
            tensors = _Tensors(folder, stack)
            merge = _Adapters.of(folder, tensors)
            for name in tensors.places:
                if _LORA.fullmatch(name) or _ORIGINAL.fullmatch(name) or (wanted and not wanted.fullmatch(name)):
                    continue
                ours, tensor = merge(name)
                if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                    raise DataFormatError(f"{folder}: {name} has values that are not finite")
                yield ours, tensor
        except EarthReasonError:  # some are OSErrors too
            raise
        except (SafetensorError, OSError, RuntimeError) as error:
            raise EarthReasonError(f"{folder}: a weight file cannot be read: {reason_of(error)}") from None


def load_pickled(path: Path) -> Any:
    """Load a file that `torch.save` wrote, on the CPU and without running code in it.

    Raises:
        DataFormatError: it is not such a file, or holds objects besides tensors and plain values.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as stream:
        mapped = zipfile.is_zipfile(stream)  # else of an old format, whose tensors cannot be read one by one
        stream.seek(0)
        try:
            return torch.load(path if mapped else stream, map_location="cpu", weights_only=True, mmap=mapped)
        except _UNPICKLING as error:
            raise DataFormatError(f"{path} is not a file of weights: {reason_of(error)}") from None


def installed_folder(package: str) -> Path | None:
    """Return the folder of an installed package, which is not imported; None if it is not installed."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def tokenizer_reason(error: Exception) -> str:
    """Return why a tokenizer cannot be loaded, with what to do about a `tokenizer.model`.

    Where transformers cannot read such a file, it takes it for one of tiktoken and advises to install that.
    """
    if not re.search("tiktoken|sentencepiece|protobuf", str(error), re.IGNORECASE):
        return reason_of(error)
    lacking = [package for package, module in _FOR_SLOW_TOKENIZERS.items() if not _is_installed(module)]
    if lacking:
        return f"reading its tokenizer.model needs: pip install {' '.join(lacking)}"
    return "its tokenizer.model is no file of sentencepiece; download it again, or give a folder with a tokenizer.json"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False


class _Tensors:
    """Tensors of a folder by their names without wrappers; those of safetensors are read when they are used."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.places: dict[str, tuple[Any, str]] = {}
        files, index = find_weights(folder)
        for path in [*files, *_adapter_files(folder)]:
            content = _opened(path, stack)
            for raw in content.keys():  # noqa: SIM118 (safetensors' reader is not a mapping)
                if index.get(raw, path.name) != path.name:
                    raise DataFormatError(f"{path} contains {raw}, but the index says that it is in {index[raw]}")
                name = _WRAPPERS.sub("", raw)
                if name in self.places and path.name not in _ADAPTERS:  # adapters may replace whole tensors
                    raise DataFormatError(f"{folder}: two tensors are called {name} (the second is in {path.name})")
                self.places[name] = (content, raw)
        known = {raw for _, raw in self.places.values()}
        if lacking := [raw for raw in index if raw not in known]:
            raise DataFormatError(f"{folder / index[lacking[0]]} lacks {lacking[0]}, which the index says it contains")

    def __getitem__(self, name: str) -> Tensor:
        content, raw = self.places[name]
        tensor: Tensor = content[raw] if isinstance(content, Mapping) else content.get_tensor(raw)
        return tensor


def _adapter_files(folder: Path) -> list[Path]:
    """Return the file of an adapter beside other weights, unless it is a leftover, without settings."""
    found = [folder / name for name in _ADAPTERS if (folder / name).is_file()]
    if not found:
        return []
    if not (folder / _SETTINGS).is_file():
        logger.warning("%s has no %s beside it and is left out", found[0], _SETTINGS)
        return []
    logger.warning("%s is merged into the weights beside it; delete it if they are merged already", found[0])
    return found[:1]


def find_weights(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """Return the files with weights, and the index from tensors to file names, empty without one.

    Raises:
        EarthReasonError: there are none, one is missing, or it is unclear which are the right ones.
    """
    if not folder.is_dir():
        raise DataNotFoundError(f"there is no folder {folder}")
    for index, single, shards in _SETS:
        if index and (folder / index).is_file():
            table = _read_index(folder / index)
            if (folder / single).is_file() and single not in table.values():
                logger.warning("%s is not in %s and is left out", folder / single, index)
            return [folder / name for name in dict.fromkeys(table.values())], table
        parts = sorted(path for path in folder.glob(shards) if _SHARD.fullmatch(path.name)) if shards else []
        if parts and (folder / single).is_file():
            raise DataFormatError(
                f"{folder} contains {single} and {len(parts)} shards without {index}; delete what does not belong"
            )
        if parts:
            return _whole(folder, parts), {}
        if (folder / single).is_file():
            return [folder / single], {}
    wanted = ", ".join(single for _, single, _ in _SETS)
    raise DataNotFoundError(f"{folder} contains no weights ({wanted}, or shards of them){_remedy(folder)}")


def _remedy(folder: Path) -> str:
    """Say what to do with a folder that training left and that contains no whole weights."""
    if any((folder / name).is_file() for name in _ADAPTERS):
        return f", but adapters alone: put the weights of their base model beside them, or {_HOW}"
    if nested := [path for path in sorted(folder.glob("pytorch_model*")) if path.is_dir()]:
        return f"; those of DeepSpeed's zero_to_fp32.py are in {nested[0]}: give that, with config.json and tokenizer"
    if (folder / "latest").is_file() or any(folder.glob("*zero_pp_rank_*")) or any(folder.glob("global_step*")):
        return (
            ", but what DeepSpeed keeps to resume from: run python zero_to_fp32.py . merged/ in the folder that "
            "contains zero_to_fp32.py, put config.json and tokenizer into merged/, and give that"
        )
    return ""


def _read_index(path: Path) -> dict[str, str]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        names = {str(name): str(file) for name, file in table.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataFormatError(f"{path} is not an index of weights") from None
    if not names:
        raise DataFormatError(f"{path} names no tensors; restore it, or delete it if the weights are in one file")
    for file in dict.fromkeys(names.values()):
        if Path(file).name != file:
            raise DataFormatError(f"{path} names {file}, which is not in the same folder")
        if not (path.parent / file).is_file():
            raise DataNotFoundError(f"there is no file {path.parent / file}, which {path.name} names")
    return names


def _whole(folder: Path, parts: list[Path]) -> list[Path]:
    found = [match for path in parts if (match := _SHARD.fullmatch(path.name))]
    totals = {int(match[2]) for match in found}
    numbers = sorted(int(match[1]) for match in found)
    if len(totals) > 1 or numbers != list(range(1, max(totals) + 1)):
        names = ", ".join(path.name for path in parts)
        raise DataFormatError(f"{folder}: these are not all shards of one checkpoint: {names}")
    return parts


def _opened(path: Path, stack: ExitStack) -> Any:
    """Open a file as a table of tensors.

    Raises:
        DataFormatError: the file holds no table of tensors.
    """
    if path.suffix == ".safetensors":
        return stack.enter_context(safe_open(path, framework="pt"))
    content = load_pickled(path)
    while isinstance(content, dict):
        inner = next((content[key] for key in _NESTED if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise DataFormatError(f"{path} contains no table of tensors")
    return content


class _Adapters:
    """Merges low-rank adapters (arXiv 2106.09685) into the tensors that they change."""

    def __init__(self, tensors: _Tensors, pairs: dict[str, dict[str, str]], settings: Mapping[str, Any]) -> None:
        self.tensors, self.pairs, self.settings = tensors, pairs, settings

    @classmethod
    def of(cls, folder: Path, tensors: _Tensors) -> _Adapters:
        """Find the adapters among the tensors.

        Raises:
            EarthReasonError: adapters are incomplete, have no settings, or are of a kind that is not merged here.
        """
        pairs: dict[str, dict[str, str]] = {}
        for name in tensors.places:
            if match := _LORA.fullmatch(name):
                if match[2] not in ("A", "B"):
                    raise EarthReasonError(f"{folder}: {name} is not plain LoRA; {_HOW}")
                parts = pairs.setdefault(match[1], {})
                if match[2] in parts:
                    raise EarthReasonError(f"{folder}: {match[1]} has several adapters; {_HOW}")
                parts[match[2]] = name
        if not pairs:
            return cls(tensors, {}, {})
        path = folder / _SETTINGS
        if not path.is_file():
            raise EarthReasonError(
                f"{folder} contains adapters but no {_SETTINGS}, which has their scale; write it with the r and "
                f'lora_alpha of the training (LISA: {{"r": 8, "lora_alpha": 16}}), or {_HOW}'
            )
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
            rank = int(settings["r"])
            if rank < 1 or not math.isfinite(float(settings["lora_alpha"])):
                raise ValueError
        except (ValueError, KeyError, TypeError, OverflowError):
            raise DataFormatError(
                f"{path} does not state r and lora_alpha as a positive integer and a number"
            ) from None
        if settings.get("use_dora") or settings.get("rank_pattern") or settings.get("alpha_pattern"):
            raise EarthReasonError(f"{path}: adapters with own ranks, or DoRA, are not merged here; {_HOW}")
        for target, parts in pairs.items():
            if len(parts) < 2:
                raise DataFormatError(f"{folder}: {target} has only one of lora_A and lora_B")
            if f"{target}.weight" not in tensors.places and f"{target}.base_layer.weight" not in tensors.places:
                raise DataFormatError(
                    f"{folder}: there is an adapter for {target}, but not its weight; if the weights are merged, "
                    f"delete the adapter, else {_HOW}"
                )
            down, up = (tuple(tensors[parts[part]].shape) for part in "AB")
            if len(down) != 2 or len(up) != 2 or down[0] != rank or up[1] != rank:
                raise DataFormatError(
                    f"{folder}: the adapter of {target} has the shapes {down} and {up}, which are not of rank {rank} "
                    f"as {path.name} states"
                )
        return cls(tensors, pairs, settings)

    def __call__(self, name: str) -> tuple[str, Tensor]:
        """Return the plain name and the merged tensor of a name without wrappers."""
        tensor = self.tensors[name]
        for pattern in (_BASE, _SAVED):
            if match := pattern.fullmatch(name):
                name = f"{match[1]}.{match[2]}"
        target = name.removesuffix(".weight")
        if name.endswith(".weight") and target in self.pairs:
            down, up = (self.tensors[self.pairs[target][part]].float() for part in "AB")
            rank = int(self.settings["r"])
            scale = float(self.settings["lora_alpha"]) / (math.sqrt(rank) if self.settings.get("use_rslora") else rank)
            change = (up @ down) * scale
            if self.settings.get("fan_in_fan_out"):
                change = change.T
            if change.shape != tensor.shape:
                raise DataFormatError(
                    f"the adapter of {target} makes a weight of shape {tuple(change.shape)}, not {tuple(tensor.shape)}"
                )
            tensor = (tensor.float() + change).to(tensor.dtype)
        return name, tensor
