"""The per-sample columns of a store, by name: labels, variables, weights and where each sample came from."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from store.datasets import DatasetSpec
from store.errors import PlanError

if TYPE_CHECKING:
    from store.opening import Store

WEIGHT = "weight"
VARIABLE_TYPES = ("float32", "int64")


def source_type(sources: int) -> np.dtype[Any]:
    """Return the type in which a store numbers its sources: the smallest of uint8, uint16 and uint32 that is enough."""
    return np.min_scalar_type(max(0, sources - 1))


def column_types(spec: DatasetSpec, sources: int) -> dict[str, tuple[str, ...]]:
    """Return the types that each column of a store may have, by name.

    Parameters
    ----------
    spec
        The data set.
    sources
        Number of source files of the store.
    """
    return {
        "label": ("uint8",),
        "split": ("uint8",),
        "source_file": (str(source_type(sources)),),
        "source_row": ("int64",),
        **{variable.name: VARIABLE_TYPES for variable in spec.variables},
        **({WEIGHT: ("float32",)} if spec.weight_key else {}),
    }


def content_columns(spec: DatasetSpec) -> tuple[str, ...]:
    """Return the names of the columns that the content digest of a store covers, in this order.

    The digest covers ``split`` by the ranges of the splits.
    """
    return tuple(name for name in column_types(spec, 1) if name != "split")


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
