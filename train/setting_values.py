"""Settings of a training run that are neither a number nor one of a few names: what a user may write for them."""

from typing import Any

from store.errors import ConfigError, PlanError
from store.selection import Cut

BALANCED = "balanced"
NONE = "none"


def parse_names(value: Any) -> tuple[str, ...]:
    """Return the names in ``"pt,m0"`` or in a list; ``"none"`` means no names.

    Raises
    ------
    ConfigError
        If the value is neither, or a name is repeated.
    """
    return _distinct_words(value, "variables", "names such as pt,m0")


def parse_runs(value: Any) -> tuple[str, ...]:
    """Return the run directories in ``"runs/a,runs/b"`` or in a list; ``"none"`` means no run.

    Raises
    ------
    ConfigError
        If the value is neither, or a run is repeated.
    """
    return _distinct_words(value, "teach", "run directories such as runs/a,runs/b")


def _distinct_words(value: Any, setting: str, example: str) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if words in ([NONE], [], ()):
        return ()
    if not isinstance(words, (list, tuple)) or not all(words) or len(set(map(str, words))) < len(words):
        raise ConfigError(f"{setting}={value!r} is neither {NONE} nor distinct {example}")
    return tuple(map(str, words))


def parse_cut(value: Any) -> str:
    """Return ``"none"``, or a cut as `store.selection.Cut.canonical` writes it.

    Raises
    ------
    ConfigError
        If the value is not a cut.
    """
    try:
        return NONE if value == NONE else Cut.parse(value).canonical
    except PlanError as error:
        raise ConfigError(str(error)) from None


def parse_class_weights(value: Any) -> str | tuple[float, ...]:
    """Return ``"none"``, ``"balanced"`` or one positive number per class.

    Raises
    ------
    ConfigError
        If the value is none of these.
    """
    if value in (NONE, BALANCED):
        return str(value)
    try:
        weights = tuple(float(weight) for weight in (value.split(",") if isinstance(value, str) else value))
        if all(0 < weight < float("inf") for weight in weights):
            return weights
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"class_weights={value!r} is neither {NONE}, {BALANCED} nor positive numbers such as 1,2.5")
