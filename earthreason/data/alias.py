"""Make the name "earthreason" known to `datasets`.

`datasets` has no plug-in mechanism, so two of its functions are wrapped. The wrappers act on the exact string
"earthreason" and pass every other name through. The name therefore also takes precedence over a folder `earthreason/`
in the current directory, such as the package in a checkout. Worker processes need no hook, because no object of this
package is pickled.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

NAME = "earthreason"
_MARK = "_earthreason_original"
_PATCHED_MODULES = ("datasets.load", "datasets.inspect", "datasets")
_REPLACEMENTS = {"load_dataset_builder": "open_builder", "dataset_module_factory": "list_module"}
"""Functions of `earthreason.data.load` by the functions of `datasets` that they replace."""
_log = logging.getLogger(__name__)


def install() -> None:
    """Register the name now if `datasets` is imported, else as soon as it is; repeated calls have no effect."""
    if "datasets" in sys.modules:
        _patch()
    elif not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


class _AfterImport(MetaPathFinder):
    """Finder that patches `datasets` after its import; importing it here would cost 0.9 s."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "datasets":
            return None
        spec = PathFinder.find_spec(fullname, path)
        # A plain folder `datasets/` is a namespace package, which has no such loader, and not the library.
        if spec is not None and spec.loader is not None and spec.origin is not None:
            sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
            _patch_after(spec.loader)
        return spec


def _patch_after(loader: Loader) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _patch()

    loader.exec_module = exec_module  # type: ignore[method-assign]


def _patch() -> None:
    loaded = [sys.modules[name] for name in _PATCHED_MODULES if name in sys.modules]
    targets = [(module, name) for module in loaded for name in _REPLACEMENTS if hasattr(module, name)]
    if {name for _, name in targets} != set(_REPLACEMENTS):
        _log.warning("this version of datasets is not known; use earthreason.load_dataset")
        return
    for module, name in targets:
        function = getattr(module, name)
        if not hasattr(function, _MARK):
            setattr(module, name, _wrap(function, _REPLACEMENTS[name]))


def _wrap(original: Callable[..., Any], replacement: str) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapper(path: str, *args: Any, **kwargs: Any) -> Any:
        if path != NAME:
            return original(path, *args, **kwargs)
        from earthreason.data import load

        return getattr(load, replacement)(original, *args, **kwargs)

    setattr(wrapper, _MARK, original)
    return wrapper
