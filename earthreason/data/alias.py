"""Teach `datasets` the name "earthreason".

`datasets` has no plug-in mechanism, so three of its functions are wrapped. The wrappers act on the exact string
"earthreason" and pass everything else through. Because of them the name also wins over a folder `earthreason/` in the
current directory, such as the package in a checkout. Nothing of ours is pickled, so worker processes need no hook.
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
_PATCHED_MODULES = ("datasets.load", "datasets.inspect")
_log = logging.getLogger(__name__)


def install() -> None:
    """Register the name now if `datasets` is loaded, else as soon as it is. Calling it again changes nothing."""
    if "datasets" in sys.modules:
        _patch()
    elif not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


class _AfterImport(MetaPathFinder):
    """Runs the patch once the package `datasets` has executed; importing it ourselves would cost 0.9 s."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "datasets":
            return None
        spec = PathFinder.find_spec(fullname, path)
        # A plain folder called datasets/ is a namespace package without a loader that executes: not the library.
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


def _targets() -> list[tuple[ModuleType, str]]:
    found: list[tuple[ModuleType, str]] = []
    for module_name in (*_PATCHED_MODULES, "datasets"):
        module = sys.modules.get(module_name)
        names = ("load_dataset_builder", "dataset_module_factory")
        found.extend((module, name) for name in names if module is not None and hasattr(module, name))
    return found


def _patch() -> None:
    wrappers = {"load_dataset_builder": _wrap_builder, "dataset_module_factory": _wrap_factory}
    targets = _targets()
    if {name for _, name in targets} != set(wrappers):
        _log.warning("this version of datasets is not known; use earthreason.load_dataset")
        return
    for module, name in targets:
        function = getattr(module, name)
        if not hasattr(function, _MARK):
            setattr(module, name, wrappers[name](function))


def _wrap_builder(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def load_dataset_builder(path: str, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if path != NAME:
            return original(path, name, *args, **kwargs)
        from earthreason.data.load import open_builder

        return open_builder(original, name, *args, **kwargs)

    setattr(load_dataset_builder, _MARK, original)
    return load_dataset_builder


def _wrap_factory(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def dataset_module_factory(path: str, *args: Any, **kwargs: Any) -> Any:
        if path != NAME:
            return original(path, *args, **kwargs)
        from earthreason.data.load import list_module

        return list_module(original)

    setattr(dataset_module_factory, _MARK, original)
    return dataset_module_factory
