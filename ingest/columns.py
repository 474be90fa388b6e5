"""The columns of all source files of a store, one source after another, and the rows of them that pass a cut."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from store.datasets import DatasetSpec
from store.errors import SourceError
from store.sample_columns import WEIGHT, source_type
from store.selection import BLOCK, Cut
from store.sources import Source

Columns = Mapping[str, npt.NDArray[Any]]
"""Arrays by name of column, each with one value per row."""


def read_columns(sources: Sequence[Source], spec: DatasetSpec) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a store for every row of its sources, in the order of the sources.

    Parameters
    ----------
    sources
        The sources.
    spec
        The data set.

    Returns
    -------
    dict
        Arrays (rows of all sources,) by name: ``label``, ``source_file``, ``source_row``, the variables of the data set
        and, if it has weights, ``weight``. Types are those of the store.

    Raises
    ------
    SourceError
        If a label, variable or weight of a source breaks a rule, or a variable has integers in one source and
        floating-point numbers in another.
    """
    rows = [source.rows for source in sources]
    columns: dict[str, npt.NDArray[Any]] = {
        "label": np.concatenate([source.labels() for source in sources]),
        "source_file": np.repeat(np.arange(len(sources), dtype=source_type(len(sources))), rows),
        "source_row": np.concatenate([np.arange(count) for count in rows]),
    }
    variables = [source.variables() for source in sources]
    for variable in spec.variables:
        parts = [read.pop(variable.name) for read in variables]  # so that no part is held after it was joined
        _check_types(sources, variable.key, parts)
        columns[variable.name] = np.concatenate(parts)
    if spec.weight_key:
        columns[WEIGHT] = np.concatenate([source.weights() for source in sources])
    return columns


def _check_types(sources: Sequence[Source], key: str, parts: Sequence[npt.NDArray[Any]]) -> None:
    """Refuse a variable that is an integer in some sources only: together they would be floats, which are rounded."""
    kinds = ["integers" if part.dtype.kind == "i" else "floating-point numbers" for part in parts]
    for source, kind in zip(sources, kinds, strict=True):
        if kind != kinds[0]:
            raise SourceError(
                f"{source.path}: {key} has {kind}, and {kinds[0]} in {sources[0].path}; "
                "all files must have the same kind of number"
            )


def cut_rows(columns: Columns, cut: Cut) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of the rows that pass a cut.

    Raises
    ------
    PlanError
        If the cut reads a column that is not there; the message lists the columns.
    """
    cut.check_columns(columns)
    passed = [
        cut.apply({name: columns[name][start : start + BLOCK] for name in cut.columns})
        for start in range(0, len(columns["label"]), BLOCK)
    ]
    rows = np.flatnonzero(np.concatenate(passed))
    return {name: values[rows] for name, values in columns.items()}
