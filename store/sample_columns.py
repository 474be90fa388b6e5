"""The per-sample columns of a store, by name: labels, variables, weights and where each sample came from."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from store.errors import PlanError

if TYPE_CHECKING:
    from store.opening import Store


def column_names(store: "Store") -> tuple[str, ...]:
    """Return the names of the arrays of a store that have one value per sample, sorted."""
    dimensions = {name: array.metadata.to_dict().get("dimension_names") for name, array in store.group.arrays()}
    return tuple(sorted(name for name, names in dimensions.items() if names == ("sample",)))


def check_column(store: "Store", name: str, setting: str) -> None:
    """Check that a store has a column.

    Parameters
    ----------
    store
        The store.
    name
        Name of the column.
    setting
        The setting that asks for it, for the message.

    Raises
    ------
    PlanError
        If the store has no such column; the message lists the ones it has.
    """
    known = column_names(store)
    if name not in known:
        raise PlanError(f"{store.path}: {setting} asks for the column {name!r}; known: {', '.join(known)}")


def read_columns(
    store: "Store", names: Iterable[str] | str, start: int, stop: int, setting: str = "columns"
) -> Mapping[str, npt.NDArray[Any]]:
    """Read columns of the samples [start, stop).

    Returns
    -------
    Mapping
        Arrays (stop - start,) by name, in the order of `names` and in the types of the store.

    Raises
    ------
    PlanError
        If the store has no such column; the message lists the ones it has.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        check_column(store, name, setting)
    return {name: store.column(name, start, stop) for name in names}
