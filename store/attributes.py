"""Attributes that netCDF files can hold as well as Zarr: what they cannot hold is JSON text."""

import json
from collections.abc import Hashable, Mapping
from typing import Any

TEXT = ("sources", "split_ranges", "selection", "versions", "seed", "description")
"""The attributes of a store that `flatten` can turn into JSON text."""
LARGEST = 2**31 - 1  # of an integer in NetCDF 3


def flatten(attributes: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
    """Return attributes of which each is text, a number or a list of numbers; any other value becomes JSON text.

    So does an integer of more than 32 bits.
    """
    return {
        name: value if _is_flat(value) else json.dumps(value, default=str, ensure_ascii=False)
        for name, value in attributes.items()
    }


def _is_flat(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(map(_is_number, value))
    return isinstance(value, str) or _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    )


def restore(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a store's attributes with those of `TEXT` parsed, where xarray has written them as JSON text."""
    return {name: _parse(value) if name in TEXT else value for name, value in attributes.items()}


def _parse(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value  # the check of the store names it
