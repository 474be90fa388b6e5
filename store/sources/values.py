"""The values of a source file, whatever its form: checked, and as a store has them."""

import re
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from store.errors import SourceError

SIMULATIONS = {"geant4": "Geant4 simulation", "pythia": "Pythia simulation"}


def as_simulation(path: Path, declared: str) -> str:
    """Return what simulated the images: what the file declares, else what its name says, else an empty string."""
    named = re.search("|".join(SIMULATIONS), path.name.lower())
    return declared or (SIMULATIONS[named.group()] if named else "")


def as_classes(path: Path, key: str, values: npt.NDArray[Any], classes: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """Return labels of any numeric type, (rows,), as uint8.

    Raises
    ------
    SourceError
        If one is no class.
    """
    known = np.isin(values, np.arange(len(classes)))
    if not known.all():
        row = int(np.argmin(known))
        meanings = ", ".join(f"{code} ({name})" for code, name in enumerate(classes))
        raise SourceError(f"{path}: {key}[{row}] = {values[row]}; labels must be {meanings}")
    return values.astype(np.uint8)


def as_variable(path: Path, key: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return numbers of any type, (rows,), rounded to float32.

    Raises
    ------
    SourceError
        If one is not finite in float32.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    finite = np.isfinite(rounded)
    if not finite.all():
        row = int(np.argmin(finite))
        raise SourceError(f"{path}: {key}[{row}] = {values[row]} is not finite")
    return rounded


def as_images(path: Path, key: str, values: npt.NDArray[Any], start: int) -> npt.NDArray[np.float32]:
    """Return images of any float type and any order of axes as float32, C-contiguous, bit for bit.

    Parameters
    ----------
    path, key
        Where they are from, for messages.
    values
        (rows, ...), as the file has them.
    start
        Row of the first.

    Raises
    ------
    SourceError
        If a value is not finite, or not exact in float32.
    """
    with np.errstate(over="ignore"):
        images = np.ascontiguousarray(values, dtype=np.float32)
    if not _all_finite(images.reshape(-1).view(np.uint32)):
        _refuse(path, key, np.isfinite(images), values, start, "is not finite")
    if values.dtype.itemsize > 4 and not np.array_equal(images, values):
        _refuse(path, key, images == values, values, start, "is not exact in float32")
    return images


def _refuse(path: Path, key: str, good: npt.NDArray[np.bool_], values: npt.NDArray[Any], start: int, rule: str) -> None:
    at = tuple(int(i) for i in np.unravel_index(np.argmin(good), good.shape))
    place = ", ".join(map(str, (start + at[0], *at[1:])))
    raise SourceError(f"{path}: {key}[{place}] = {values[at]} {rule}")


@numba.njit(cache=True, nogil=True)
def _all_finite(bits):
    """Tell whether no float32 pattern is an infinity or a NaN (all exponent bits set)."""
    bad = np.uint32(0)
    for i in range(bits.size):
        bad |= np.uint32((bits[i] & np.uint32(0x7F800000)) == np.uint32(0x7F800000))
    return bad == 0
