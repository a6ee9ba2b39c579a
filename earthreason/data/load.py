"""`load_dataset`: the documented way in, and what the name alias of `datasets` calls."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earthreason.data.configs import CONFIGS, get_config
from earthreason.data.schema import SPLIT_ALIASES, SPLITS
from earthreason.errors import EarthReasonError, UnknownNameError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

_SPLIT_NAME = re.compile(r"[A-Za-z_][\w.-]*")


def load_dataset(
    path: str = "earthreason",
    name: str | None = None,
    *,
    split: Any = None,
    data_dir: str | Path | None = None,
    streaming: bool = False,
    **kwargs: Any,
) -> Dataset | DatasetDict | IterableDataset | IterableDatasetDict:
    """Load EarthReason as a `datasets` dataset.

    Args:
        path: "earthreason"; anything else goes to `datasets.load_dataset` unchanged.
        name: configuration: `default` is the official release, `sample` the built-in synthetic scenes.
        split: `train`, `validation` (or `val`), `test`, slices such as `test[:10]`; None gives all in a dict.
        data_dir: folder of the release; by default EARTHREASON_DATA, then the Hub.
        streaming: iterate without building the Arrow cache.
        **kwargs: passed on to `datasets.load_dataset` (`num_proc`, `cache_dir`, `columns`, ...).

    Raises:
        UnknownNameError: no such configuration or split; names the nearest.
        DataNotFoundError: the release is nowhere; says how to get it.
        DataFormatError: a file of the release is broken; names it.
    """
    import datasets

    where = None if data_dir is None else str(data_dir)
    return datasets.load_dataset(path, name, split=split, data_dir=where, streaming=streaming, **kwargs)


def resolve_split(split: Any) -> Any:
    """Replace the alias `val` and check the names in a split expression such as `val[:10]+test`.

    Raises:
        UnknownNameError: a name is not a split.
        EarthReasonError: a slice is none.
    """
    if isinstance(split, list | tuple):
        return [resolve_split(part) for part in split]
    if split is None or not isinstance(split, str) or split == "all":
        return split
    parts = []
    for part in split.split("+"):
        match = _SPLIT_NAME.match(part.strip())
        name = match[0] if match else part
        known = SPLIT_ALIASES.get(name, name)
        if known not in SPLITS:
            raise UnknownNameError("split", name, [*SPLITS, *SPLIT_ALIASES])
        parts.append(known + part.strip()[len(name) :])
    return _checked("+".join(parts), split)


def _checked(resolved: str, given: str) -> str:
    from datasets import ReadInstruction

    try:
        ReadInstruction.from_spec(resolved)
    except (ValueError, AssertionError):
        raise EarthReasonError(f"{given!r} is no split; write test, test[:10], test[10%:20%] or val+test") from None
    return resolved


def _with_split_names(method: Callable[..., Any], split: Any = None, **kwargs: Any) -> Any:
    return method(split=resolve_split(split), **kwargs)


def open_builder(
    load_dataset_builder: Callable[..., Any],
    name: str | None,
    data_dir: str | None = None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Open our prepared folder with the original `load_dataset_builder`, and let its splits be called `val` too."""
    config = get_config(name)
    folder = config.prepare(None if data_dir is None else Path(data_dir).expanduser())
    builder = load_dataset_builder(str(folder), config.name, None, *args, **kwargs)
    for method in ("as_dataset", "as_streaming_dataset"):
        setattr(builder, method, functools.partial(_with_split_names, getattr(builder, method)))
    return builder


def list_module(dataset_module_factory: Callable[..., Any]) -> Any:
    """The module of every configuration that is at hand, so that `get_dataset_config_names` works."""
    modules = [
        dataset_module_factory(str(config.prepare(None))) for config in CONFIGS.values() if config.is_available()
    ]
    configs = [config for module in modules for config in module.builder_configs_parameters.builder_configs]
    first = modules[0]
    return replace(first, builder_configs_parameters=replace(first.builder_configs_parameters, builder_configs=configs))
