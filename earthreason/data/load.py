"""`load_dataset`, and the functions that replace those of `datasets` for the name "earthreason"."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from earthreason.data.about import read_about
from earthreason.data.configs import CONFIGS, DEFAULT_CONFIG, get_config
from earthreason.data.hub import LoadOptions
from earthreason.data.omissions import Tolerance
from earthreason.data.prepared import check_left_out
from earthreason.data.schema import SPLIT_ALIASES, SPLITS
from earthreason.data.schema import features as schema_features
from earthreason.errors import DataNotFoundError, EarthReasonError, UnknownNameError, show_value
from earthreason.files import path_of

if TYPE_CHECKING:
    from datasets import DatasetInfo, ReadInstruction

    from earthreason.data.about import About
    from earthreason.data.omissions import Omissions
    from earthreason.data.rows import Split, SplitDict, StreamedSplit, StreamedSplitDict

_SPLIT_NAME = re.compile(r"[A-Za-z_][\w.-]*")


@overload
def load_dataset(
    path: str = "earthreason",
    name: str | None = None,
    *,
    split: None = None,
    data_dir: str | Path | None = None,
    streaming: Literal[False] = False,
    **kwargs: Any,
) -> SplitDict: ...
@overload
def load_dataset(
    path: str = "earthreason",
    name: str | None = None,
    *,
    split: str,
    data_dir: str | Path | None = None,
    streaming: Literal[False] = False,
    **kwargs: Any,
) -> Split: ...
@overload
def load_dataset(
    path: str = "earthreason",
    name: str | None = None,
    *,
    split: None = None,
    data_dir: str | Path | None = None,
    streaming: Literal[True],
    **kwargs: Any,
) -> StreamedSplitDict: ...
@overload
def load_dataset(
    path: str = "earthreason",
    name: str | None = None,
    *,
    split: str,
    data_dir: str | Path | None = None,
    streaming: Literal[True],
    **kwargs: Any,
) -> StreamedSplit: ...
@overload
def load_dataset(
    path: str = "earthreason",
    name: str | None = None,
    *,
    split: str | ReadInstruction | list[str | ReadInstruction] | None = None,
    data_dir: str | Path | None = None,
    streaming: bool = False,
    **kwargs: Any,
) -> Any: ...
def load_dataset(
    path: str = "earthreason",
    name: str | None = None,
    *,
    split: Any = None,
    data_dir: str | Path | None = None,
    streaming: bool = False,
    **kwargs: Any,
) -> Any:
    """Load EarthReason as a `datasets` dataset.

    Args:
        path: "earthreason"; other names are passed to `datasets.load_dataset` unchanged.
        name: configuration; `default` is the official release, `sample` and `diagnostic` are built-in
            synthetic scenes.
        split: `train`, `validation` (or `val`), `test`, or a slice such as `test[:10]`; None returns a dict of all.
        data_dir: folder of the release; EARTHREASON_DATA by default, then the Hub.
        streaming: whether to iterate without building the Arrow cache.
        **kwargs: `strict` refuses data of which a sample was left out because its files are broken; `max_left_out`
            is the share of a split that may be left out, 0.02 by default. Further arguments are those of
            `datasets.load_dataset` (`num_proc`, `columns`, ...). `revision`, `token` and `download_mode` act on the
            download from the Hub as for any dataset of the Hub. `cache_dir` holds all that is written: archives in
            `hub/`, unpacked and prepared data, Arrow files; without it, archives are in the Hub's cache (HF_HUB_CACHE),
            the rest in that of `datasets` (HF_DATASETS_CACHE).

    Raises:
        UnknownNameError: the configuration or split is unknown; names the nearest.
        DataNotFoundError: the release is neither local nor on the Hub; says how to get it.
        DataFormatError: more samples are broken than `strict` and `max_left_out` allow; names the first.
    """
    import datasets

    where = None if data_dir is None else str(data_dir)
    return datasets.load_dataset(path, name, split=split, data_dir=where, streaming=streaming, **kwargs)


def resolve_split(split: Any, present: Collection[str] = SPLITS) -> Any:
    """Replace the alias `val` and check the names in a split expression such as `val[:10]+test`.

    Args:
        split: what `datasets` takes as split; only texts are checked.
        present: splits that the data has.

    Raises:
        UnknownNameError: a split is unknown, or the data lacks it; names those that it has.
        EarthReasonError: a slice is malformed.
    """
    from datasets import ReadInstruction
    from datasets.splits import SplitBase

    if isinstance(split, list | tuple):
        return [resolve_split(part, present) for part in split]
    if split is None or isinstance(split, ReadInstruction | SplitBase) or split == "all":
        return split
    if not isinstance(split, str):
        raise EarthReasonError(f"split is a text such as test or test[:10], or a list of such, not {split!r}")
    parts = []
    for part in split.split("+"):
        match = _SPLIT_NAME.match(part.strip())
        name = match[0] if match else part
        known = SPLIT_ALIASES.get(name, name)
        if known not in SPLITS:
            raise UnknownNameError("split", name, [*SPLITS, *SPLIT_ALIASES])
        if known not in present:
            raise UnknownNameError("split", name, present, "This data has no other split")
        parts.append(known + part.strip()[len(name) :])
    resolved = "+".join(parts)
    try:
        ReadInstruction.from_spec(resolved)
    except (ValueError, AssertionError):
        raise EarthReasonError(f"{split!r} is not a split; write test, test[:10], test[10%:20%] or val+test") from None
    return resolved


def _with_split_names(method: Callable[..., Any], present: Collection[str], split: Any = None, **kwargs: Any) -> Any:
    return method(split=resolve_split(split, present), **kwargs)


def open_builder(
    load_dataset_builder: Callable[..., Any],
    name: str | None = None,
    data_dir: str | None = None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Open the prepared folder of a configuration with the original function, and accept `val` as a split."""
    tolerance = Tolerance.of_options(kwargs.pop("strict", False), kwargs.pop("max_left_out", None))
    config = get_config(name)
    given = inspect.signature(load_dataset_builder).bind("", name, data_dir, *args, **kwargs).arguments
    _check_options(given)
    folder = config.prepare(None if data_dir is None else _folder_given(data_dir), _options_of(given))
    omissions = check_left_out(folder, tolerance, config.name)
    own = given.pop("config_kwargs", {})
    given.update(path=str(folder), name=config.name, data_dir=None, revision=None)
    builder = load_dataset_builder(**given, **own)
    _describe(builder.info, read_about(folder), omissions)
    present = tuple(builder.config.data_files or SPLITS)
    for method in ("as_dataset", "as_streaming_dataset"):
        setattr(builder, method, functools.partial(_with_split_names, getattr(builder, method), present))
    return builder


def _folder_given(data_dir: Any) -> Path:
    """Return the folder that a user gave.

    Raises:
        EarthReasonError: it is not a path, or one that no disk can have.
    """
    folder = path_of(data_dir, "data_dir").expanduser()
    try:
        folder.stat()
    except FileNotFoundError:
        pass  # the configuration says what it expects there
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataNotFoundError(f"data_dir: {show_value(str(data_dir))} cannot be read ({reason})") from None
    return folder


def _check_options(given: Mapping[str, Any]) -> None:
    """Refuse what `datasets` would refuse after the data is prepared, or in many lines.

    Raises:
        EarthReasonError: `data_files` or `features` is given, which this data states itself, or an option is unknown.
        UnknownNameError: a column is unknown; names the nearest.
    """
    from datasets.packaged_modules.parquet.parquet import ParquetConfig

    for option in ("data_files", "features"):
        if given.get(option) is not None:
            raise EarthReasonError(f"{option} is not for 'earthreason', which finds its own; give a folder as data_dir")
    own = given.get("config_kwargs", {})
    known = [field.name for field in dataclasses.fields(ParquetConfig)]
    for option in own:
        if option not in known:
            raise UnknownNameError("option of load_dataset", option, ["strict", "max_left_out", *known])
    columns = own.get("columns")
    if isinstance(columns, str):
        raise EarthReasonError(f"columns is a list of names, such as [{columns!r}]")
    for column in columns or ():
        if column not in schema_features():
            raise UnknownNameError("column", str(column), schema_features())


def _options_of(arguments: Mapping[str, Any]) -> LoadOptions:
    """Return what the arguments of `load_dataset_builder` say about downloading and caching."""
    from datasets import DownloadMode

    download = arguments.get("download_config")
    token = arguments.get("token")
    revision, cache_dir = arguments.get("revision"), arguments.get("cache_dir")
    mode = DownloadMode(arguments.get("download_mode") or DownloadMode.REUSE_DATASET_IF_EXISTS)
    if download is not None and download.force_download:
        mode = DownloadMode.FORCE_REDOWNLOAD
    return LoadOptions(
        revision=None if revision is None else str(revision),
        token=download.token if token is None and download is not None else token,
        cache_dir=None if cache_dir is None else Path(cache_dir).expanduser(),
        download_mode=mode.value,
        local_files_only=download is not None and download.local_files_only,
    )


def _describe(info: DatasetInfo, about: About, omissions: Omissions) -> None:
    """State title, licence, citation and what was left out in the info of every split that is loaded."""
    vars(info).update(about.info)
    info.description = "\n".join(part for part in (info.description, omissions.summary()) if part)


def list_module(_dataset_module_factory: Callable[..., Any], *_args: Any, **_kwargs: Any) -> Any:
    """Return a module that lists every configuration, so that `get_dataset_config_names` works without data."""
    from datasets import BuilderConfig
    from datasets.load import BuilderConfigsParameters, DatasetModule
    from datasets.packaged_modules.parquet import parquet

    listed = BuilderConfigsParameters(
        builder_configs=[BuilderConfig(name=name) for name in CONFIGS], default_config_name=DEFAULT_CONFIG
    )
    return DatasetModule(parquet.__name__, hash="", builder_kwargs={}, builder_configs_parameters=listed)
