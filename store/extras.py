"""Packages that only an extra of calostream installs."""

import importlib.util

from store.errors import MissingPackageError


def require(extra: str, *modules: str, needed_by: str = "") -> None:
    """Raise MissingPackageError if one of some modules is not installed.

    Parameters
    ----------
    extra
        The extra of calostream that brings the modules.
    *modules
        Their names, as they are imported.
    needed_by
        The file or URL for which they are needed, if it is for one.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            prefix = needed_by and f"{needed_by}: "
            raise MissingPackageError(f"{prefix}{module} is not installed; `pip install 'calostream[{extra}]'` does it")
