"""Public names that a package imports when they are first used, so that importing the package costs nothing."""

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def lazy_names(package: str) -> Callable[[str], Any]:
    """Return the function ``__getattr__`` (PEP 562) of a package.

    Its ``__init__.py`` reads::

        if TYPE_CHECKING:
            from store.plan import BatchPlan
        else:
            __getattr__ = lazy_names(__name__)

        __all__ = ["BatchPlan"]

    Type checkers read the imports, and so does ``__getattr__`` when a name is first used.
    """

    def __getattr__(name: str) -> Any:
        module = sys.modules[package]
        home = _imports(Path(str(module.__file__))).get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if home == package:  # a module of the package itself
            return importlib.import_module(f"{package}.{name}")
        value = getattr(importlib.import_module(home), name)
        setattr(module, name, value)
        return value

    return __getattr__


def _imports(path: Path) -> dict[str, str]:
    """Return the names that the ``from MODULE import NAME`` statements of a file import, each with its module."""
    statements = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in statements for alias in node.names}
