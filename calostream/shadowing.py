"""Checks that `store`, `ingest`, `train` and `evaluate` are this installation's packages, without importing them.

Another distribution may install a package of one of these names, as Hugging Face's `evaluate` does, and a user may have
a file `train.py`.
"""

import importlib.util
from pathlib import Path

PACKAGES = ("store", "ingest", "train", "evaluate")
HOME = Path(__file__).resolve().parents[1]
DOCSTRING = '"""calostream: '
"""How the `__init__.py` of each of the packages begins."""


def find_shadow(*packages: str) -> str:
    """Return one line about the first of some packages that is not this installation's own, or an empty string."""
    for name in packages:
        own = HOME / name / "__init__.py"
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin) if spec and spec.origin else None
        if origin is None:
            return f"{own} of calostream is missing; install calostream again"
        if origin.resolve() != own.resolve():
            return f"{origin} shadows calostream's package {name!r}; rename or uninstall it, or take it off PYTHONPATH"
        if not own.read_text(encoding="utf-8", errors="replace").startswith(DOCSTRING):
            return f"{own} was overwritten by another distribution; uninstall that, then install calostream again"
    return ""


def require_own(*packages: str) -> None:
    """Raise ImportError if one of the packages is not this installation's own; importing a user's file would run it."""
    if problem := find_shadow(*packages):
        raise ImportError(problem)
