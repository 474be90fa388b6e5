"""The class of each row of a source file, from labels in any of the forms that files have.

Labels are the numbers of the classes, the values or names that stand for them, or one column per class with a 1 in the
column of the row's class.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.arrays import UInt8Array
from store.console import printable
from store.datasets import DatasetSpec
from store.errors import SourceError

PIECE_VALUES = 1 << 18  # values that are read and converted at once, because texts take much memory
SHOWN = 10  # classes or values named in one message
UNKNOWN = -1


def check_label_shape(path: Path, what: str, shape: tuple[int, ...], rows: int, spec: DatasetSpec) -> None:
    """Raise SourceError unless labels of `rows` images are one per row, (rows,) or (rows, 1), or a column per class."""
    columns = (rows, len(spec.classes))
    if shape in ((rows,), (rows, 1)) or (shape == columns and spec.label_values is None):
        return
    expected = f"({rows},)" if spec.label_values else f"({rows},) or one column per class, {columns}"
    raise SourceError(f"{path}: {what} has shape {shape}, expected {expected}")


def no_labels(path: Path, what: str, names: Iterable[str]) -> SourceError:
    """Return the error for a file without labels, which names `what` is missing and lists what the file has."""
    listed = ", ".join(map(repr, names)) or "nothing"
    return SourceError(
        f"{path}: no {what}; the file has {listed}; if it has no labels, --label CLASS=FILES tells its class"
    )


def as_classes(path: Path, key: str, values: npt.NDArray[Any], spec: DatasetSpec, start: int = 0) -> UInt8Array:
    """Return the classes that labels stand for.

    Parameters
    ----------
    path, key
        File and name that the labels come from, for messages.
    values
        (rows,) or (rows, 1), numbers or texts; or (rows, class), numbers.
    spec
        The data set.
    start
        Row of the first label in the file, for messages.

    Returns
    -------
    numpy.ndarray
        uint8 (rows,).

    Raises
    ------
    SourceError
        If a label stands for no class; the message names the row, the label and what labels may be.
    """
    if values.ndim == 2 and values.shape[1] > 1:
        return _from_columns(path, key, values, spec.classes, start)
    values = values.reshape(-1)
    is_text = values.dtype.kind in "SUO"
    if not is_text and spec.label_values is None:
        known = np.isin(values, np.arange(len(spec.classes)))
        if known.all():
            return values.astype(np.uint8)
        raise _refusal(path, key, values, start, int(np.argmin(known)), spec)
    expected: Sequence[Any] = spec.label_values or spec.classes
    labels = [*map(as_text, values.tolist())] if is_text else values.tolist()
    codes = {as_text(value) if isinstance(value, str) else value: code for code, value in enumerate(expected)}
    found = np.fromiter((codes.get(label, UNKNOWN) for label in labels), np.int16, len(labels))
    if UNKNOWN in found:
        raise _refusal(path, key, values, start, int(np.argmax(found == UNKNOWN)), spec)
    return found.astype(np.uint8)


def check_told(path: Path, key: str, label: UInt8Array, told: int, classes: tuple[str, ...]) -> None:
    """Raise SourceError if labels in a file are not all of the class that the user says it has."""
    if not np.all(label == told):
        row = int(np.argmax(label != told))
        raise SourceError(
            f"{path}: {key}[{row}] is of class {classes[label[row]]}, but --label says that the file has only "
            f"{classes[told]}; leave out --label for files with labels"
        )


def _from_columns(path: Path, key: str, values: npt.NDArray[Any], classes: tuple[str, ...], start: int) -> UInt8Array:
    """Return the classes that columns of numbers, (rows, class), stand for."""
    ones = values == 1
    valid = (ones.sum(axis=1) == 1) & ((values == 0).sum(axis=1) == len(classes) - 1)
    if not valid.all():
        row = int(np.argmin(valid))
        shown = ", ".join(f"{value:g}" for value in values[row, :SHOWN]) + (", ..." if len(classes) > SHOWN else "")
        raise SourceError(
            f"{path}: {key}[{start + row}] = [{shown}]; a row must have one 1 and otherwise 0, in the columns "
            f"{_listed(classes)}"
        )
    label: UInt8Array = ones.argmax(axis=1).astype(np.uint8)
    return label


def as_text(value: Any) -> Any:
    """Return text or bytes as str, without the blanks and null characters that fill it up; other values as they are."""
    if isinstance(value, bytes):
        value = value.decode(errors="backslashreplace")
    return value.rstrip("\0 ") if isinstance(value, str) else value


def _refusal(path: Path, key: str, values: npt.NDArray[Any], start: int, row: int, spec: DatasetSpec) -> SourceError:
    """Return the error for a label that stands for no class."""
    value = as_text(values[row])
    shown = printable(repr(value)[:60]) if isinstance(value, str) else str(value)
    where = f"{path}: {key}[{start + row}]"
    problem = f"{where} is missing" if value is None else f"{where} = {shown}"
    is_text = values.dtype.kind in "SUO"
    if spec.label_values is not None:
        meanings = [f"{code!r} ({name})" for code, name in zip(spec.label_values, spec.classes, strict=True)]
    else:
        meanings = [repr(name) if is_text else f"{code} ({name})" for code, name in enumerate(spec.classes)]
    return SourceError(f"{problem}; labels must be {_listed(meanings)}{_advice(values, spec)}")


def _advice(values: npt.NDArray[Any], spec: DatasetSpec) -> str:
    """Return what to write in the description if labels are as many other values as there are classes."""
    if spec.label_values is not None:
        return ""
    distinct = {*map(as_text, values.tolist())}
    if distinct <= {-1, 1} and len(spec.classes) == 2:
        distinct = {-1, 1}
    whole = all(isinstance(value, str) or (value is not None and value == value // 1) for value in distinct)
    if len(distinct) != len(spec.classes) or len(distinct) > SHOWN or not whole:
        return ""
    if not all(isinstance(value, str) for value in distinct):
        distinct = {int(value) for value in distinct}
    listed = printable(str(sorted(distinct)))
    names = _listed(spec.classes)
    return f"; if {listed} stand for {names}, in this order, say label.values = {listed} in the description"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
