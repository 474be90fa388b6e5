"""The rules for the values of a source file, whatever its format."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.arrays import BoolArray, Float32Array, Float64Array, VariableArray
from store.compiled.source_values import all_finite
from store.console import printable
from store.errors import SourceError

SIMULATIONS = {"geant4": "Geant4 simulation", "pythia": "Pythia simulation"}
WEIGHTS = 1e-100, 1e100  # smallest and largest weight: squares and sums of weights must be numbers too
STORED_WEIGHTS = 1.2e-38, 3.4e38  # the same for float32
WEIGHT_KEY = "weight"  # name of the weights in a file whose description names none
LARGEST_INTEGER = 2**63 - 1
STORED_AS_FLOAT32 = "stored as float32; a value that float32 does not have exactly is refused"
ROUNDED_TO_FLOAT32 = "stored as float32; a value that float32 does not have exactly is rounded"
INEXACT = 'is not exact in float32; "round = true" under [image] in the description of the data set rounds such values'
EXACT_INTEGERS = 2**24  # float32 has all integers from minus this to this


def as_simulation(path: Path, declared: Any) -> str:
    """Return the simulation that made the images: as declared, else as the file name says, else an empty string.

    Parameters
    ----------
    path
        The source file.
    declared
        What the file declares: text, bytes, or an array or list of either.

    Raises
    ------
    SourceError
        If the declaration is no text.
    """
    named = re.search("|".join(SIMULATIONS), path.name.lower())
    text = ", ".join(filter(None, _texts(path, declared)))
    return text or (SIMULATIONS[named.group()] if named else "")


def _texts(path: Path, value: Any) -> list[str]:
    """Return the texts in an attribute, on one line each, with unprintable characters escaped."""
    if isinstance(value, bytes):
        value = value.rstrip(b"\0").decode(errors="backslashreplace")
    if isinstance(value, str):
        return [printable(" ".join(value.split()))]
    if isinstance(value, np.ndarray | list | tuple):
        return [text for part in np.asarray(value, object).reshape(-1) for text in _texts(path, part)]
    raise SourceError(f"{path}: the attribute 'simulation' is {value!r}, expected text")


def as_weights(path: Path, key: str, values: npt.NDArray[Any]) -> Float64Array:
    """Return weights of any numeric type, (rows,), as float64.

    Raises
    ------
    SourceError
        If a weight is negative, not finite or outside `WEIGHTS` without being zero, or all weights are zero.
    """
    weights = values.astype(np.float64)
    _check_weights(path, key, values, weights, WEIGHTS)
    if not weights.any():
        raise SourceError(f"{path}: {key} is zero in all {weights.size} rows")
    return weights


def as_stored_weights(path: Path, key: str, values: npt.NDArray[Any]) -> Float32Array:
    """Return weights of any numeric type, (rows,), rounded to float32, the type of weights in a store.

    Raises
    ------
    SourceError
        If a weight is negative, not finite or outside `STORED_WEIGHTS` without being zero.
    """
    negative, scale = "; a variable may be negative, and training takes it as --weight", "; only their ratios matter"
    _check_weights(path, key, values, values.astype(np.float64), STORED_WEIGHTS, (negative, scale))
    return values.astype(np.float32)


def _check_weights(
    path: Path,
    key: str,
    values: npt.NDArray[Any],
    weights: Float64Array,
    bounds: tuple[float, float],
    advice: tuple[str, str] = ("", ""),
) -> None:
    """Raise SourceError for the first weight that breaks a rule, with advice on negative and on extreme weights."""
    usable = np.isfinite(weights) & (weights >= 0)
    if not usable.all():
        row = int(np.argmin(usable))
        raise SourceError(f"{path}: {key}[{row}] = {values[row]}; weights must be finite and not negative{advice[0]}")
    extreme = (weights > 0) & ((weights < bounds[0]) | (weights > bounds[1]))
    if extreme.any():
        row = int(np.argmax(extreme))
        rule = f"weights must be 0, or {bounds[0]} to {bounds[1]}{advice[1]}"
        raise SourceError(f"{path}: {key}[{row}] = {values[row]}; {rule}")


def as_variable(path: Path, key: str, values: npt.NDArray[Any]) -> VariableArray:
    """Return a variable, (rows,), as int64 if it has integers or truth values, otherwise rounded to float32.

    Raises
    ------
    SourceError
        If an integer is outside int64, or another number is not finite in float32.
    """
    if values.dtype.kind in "biu":
        if values.dtype.kind == "u" and values.size and values.max() > LARGEST_INTEGER:
            row = int(np.argmax(values > LARGEST_INTEGER))
            raise SourceError(f"{path}: {key}[{row}] = {values[row]}; integers must be at most {LARGEST_INTEGER}")
        return values.astype(np.int64)
    return as_float32(path, key, values)


def as_float32(path: Path, key: str, values: npt.NDArray[Any]) -> Float32Array:
    """Return numbers of any type, (rows,), rounded to float32.

    Raises
    ------
    SourceError
        If a number is not finite in float32.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    finite = np.isfinite(rounded)
    if not finite.all():
        row = int(np.argmin(finite))
        raise SourceError(f"{path}: {key}[{row}] = {values[row]} is not finite")
    return rounded


def describe_type(path: Path, key: str, dtype: str, *, rounded: bool) -> str:
    """Return a note on images of another type than float32."""
    return f"{path}: {key} is {dtype}; {ROUNDED_TO_FLOAT32 if rounded else STORED_AS_FLOAT32}"


def as_images(path: Path, key: str, values: npt.NDArray[Any], start: int, *, rounded: bool) -> Float32Array:
    """Return images of numbers of any type, in any order of axes, as float32, C-contiguous.

    Parameters
    ----------
    path, key
        File and name that the images come from, for messages.
    values
        (rows, ...), as the file has them.
    start
        Row of the first image in the file, for messages.
    rounded
        Whether a value that float32 does not have exactly is rounded; otherwise it is an error.

    Raises
    ------
    SourceError
        If a value is not finite in float32, or would have to be rounded and may not.
    """
    with np.errstate(over="ignore"):
        images = np.ascontiguousarray(values, dtype=np.float32)
    if values.dtype.kind in "biu":
        exact = None if rounded else _exact_integers(images, values)
        if exact is not None and not exact.all():
            _refuse(path, key, exact, values, start, INEXACT)
        return images
    if not all_finite(images.reshape(-1).view(np.uint32)):
        _refuse(path, key, np.isfinite(images), values, start, "is not finite")
    if not rounded and values.dtype.itemsize > 4 and not np.array_equal(images, values):
        _refuse(path, key, images == values, values, start, INEXACT)
    return images


def _exact_integers(images: Float32Array, values: npt.NDArray[Any]) -> BoolArray | None:
    """Return whether each float32 is the integer that it was made of, or None if all are."""
    size = values.dtype.itemsize
    if size <= 2 or (values.min() >= -EXACT_INTEGERS and values.max() <= EXACT_INTEGERS):
        return None
    in_range = images < 2.0 ** (8 * size - (values.dtype.kind == "i"))  # others cannot be made integers again
    exact: BoolArray = in_range & (np.where(in_range, images, 0).astype(values.dtype) == values)
    return exact


def _refuse(path: Path, key: str, valid: BoolArray, values: npt.NDArray[Any], start: int, rule: str) -> None:
    """Raise SourceError for the first value that is not valid."""
    first = tuple(int(i) for i in np.unravel_index(np.argmin(valid), valid.shape))
    index = ", ".join(map(str, (start + first[0], *first[1:])))
    raise SourceError(f"{path}: {key}[{index}] = {values[first]} {rule}")
