"""Public names that a package imports when they are first used, so that importing the package costs nothing."""

import ast
import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def lazy_names(package: str) -> Callable[[str], Any]:
    """Return the function ``__getattr__`` (PEP 562) of a package.

    Its ``__init__.py`` reads::

        if TYPE_CHECKING:
            from store.plans.plan import BatchPlan
        else:
            __getattr__ = lazy_names(__name__)

        __all__ = ["BatchPlan"]

    Type checkers read the imports, and so does ``__getattr__`` when a name is first used.
    """
    return functools.partial(load, package)


def load(package: str, name: str) -> Any:
    """Import a public name of a package, or one of its modules, and return it."""
    home = home_of(package, name)
    if home == package:
        return importlib.import_module(f"{package}.{name}")
    value = getattr(importlib.import_module(home), name)
    setattr(sys.modules[package], name, value)
    return value


def home_of(package: str, name: str) -> str:
    """Return the module from which the ``__init__.py`` of a package imports a name for type checkers.

    Raises
    ------
    AttributeError
        If it imports no such name.
    """
    source = Path(str(sys.modules[package].__file__)).read_bytes()
    for block in (node for node in ast.parse(source).body if isinstance(node, ast.If)):
        for node in block.body:
            if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
                return str(node.module)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")
