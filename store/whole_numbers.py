"""Arithmetic and comparisons that keep whole numbers exact: int64 among themselves, float64 with anything else.

float64 holds whole numbers up to 2**53 only, and numpy converts int64 to it wherever the two meet.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any] | np.int64 | np.float64
"""int64 or float64, an array (n,) or a single number."""

KEEPING = {np.add, np.subtract, np.multiply, np.mod, np.power, np.negative, np.positive, np.abs, np.minimum, np.maximum}
"""The functions that give whole numbers for whole numbers."""
LARGEST = 2**63 - 1


def from_python(value: int | float) -> Numbers:
    """Return a number as int64 if it is whole and int64 holds it, otherwise as float64.

    Raises
    ------
    OverflowError
        If it is an int that neither of the two holds exactly.
    """
    if isinstance(value, int) and abs(value) <= LARGEST:
        return np.int64(value)
    if isinstance(value, int) and int(float(value)) != value:
        raise OverflowError(f"{value} is beyond 64-bit integers; write {float(value)!r}")
    return np.float64(value)


def from_column(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values of a column as int64 if they are whole numbers or bool, otherwise as float64.

    Raises
    ------
    OverflowError
        If int64 cannot hold one.
    TypeError
        If they are not numbers.
    """
    if values.dtype.kind not in "biuf":
        raise TypeError(f"has {values.dtype} and not numbers")
    if values.dtype.kind == "f":
        return values.astype(np.float64, copy=False)
    if values.dtype == np.uint64 and values.max(initial=0) > LARGEST:
        raise OverflowError(f"has {values.max()}, which is beyond 64-bit integers with a sign")
    return values.astype(np.int64, copy=False)


def calculate(function: Callable[..., Any], *values: Numbers) -> Numbers:
    """Return what a numpy function gives: exactly if it keeps whole numbers and gets no others, otherwise in float64.

    Single numbers become float64 if the result is beyond int64; so does the remainder of a division by zero, NaN, and a
    power with a negative exponent.

    Raises
    ------
    OverflowError
        If one of several results is beyond int64.
    """
    floats: Numbers = function(*(np.float64(value) for value in values))
    if function not in KEEPING or any(value.dtype.kind == "f" for value in values):
        return floats
    if (function is np.power and np.any(values[1] < 0)) or (function is np.mod and np.any(values[1] == 0)):
        return floats
    whole: Numbers = function(*values)
    # A result beyond int64 is off by a multiple of 2**64. A remainder never is, but may differ from that of floats.
    if function is np.mod or not np.any(np.abs(floats - whole) > 2.0**62):
        return whole
    if whole.ndim:
        raise OverflowError("is beyond 64-bit integers for some samples; multiply by 1.0 to calculate in float64")
    return floats


def compare(function: Callable[..., Any], left: Numbers, right: Numbers) -> Any:
    """Return a comparison, exactly also between int64 and float64: bool, (n,) or a single value."""
    if left.dtype == right.dtype:
        return function(left, right)
    (near, beyond), (other_near, other_beyond) = _round(left), _round(right)
    return np.where(near == other_near, function(beyond, other_beyond), function(near, other_near))


def _round(values: Numbers) -> tuple[Numbers, Any]:
    """Return numbers rounded to float64, and how far they are beyond that: int64, of the right sign at least."""
    if values.dtype.kind == "f":
        return values, np.int64(0)
    near = np.float64(values)
    inside = near < 2.0**63  # int64 holds it; if it does not, the number is below it
    return near, np.where(inside, values - np.where(inside, near, 0).astype(np.int64), -1)
