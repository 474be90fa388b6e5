"""Registers the accessor ``dataset.calo`` when xarray is imported, so that importing calostream need not import it."""

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def register() -> None:
    """Register the accessor now if xarray has been imported, or else as soon as it is."""
    if "xarray" in sys.modules:
        _import_accessor()
    else:
        sys.meta_path.insert(0, _AfterXarray())


def _import_accessor() -> None:
    from calostream.shadowing import find_shadow

    if not find_shadow("store"):  # else the first use of a public name says so
        importlib.import_module("store.accessor")


class _AfterXarray(importlib.abc.MetaPathFinder):
    """Finds xarray as usual, and imports the accessor after it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "xarray":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _import_accessor()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
