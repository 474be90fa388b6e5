"""A guess at the labels of a file: which column has them, and what classes its values stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.file_entries import Entry, read_first
from store.descriptions import LARGEST_CLASSES
from store.sources.labels import as_text

LABELS = ("y", "label", "labels", "target", "targets", "class", "truth", "is_signal")
"""What labels are usually called, the most usual name first."""
FEW = 10  # classes of which an unusual name may have the texts or numbers; values that are shown
LONGEST_NAME = 60  # characters of the name of a class
NUMBERED = "names of label 0, label 1 and so on"


@dataclass(frozen=True, kw_only=True)
class LabelGuess:
    """A guess at the labels of a file.

    Attributes
    ----------
    entry
        Where they are, or None if nothing looks like labels.
    classes
        Names of the classes.
    values
        What the file has for each class, if it is neither the number nor the name of the class, nor a column.
    seen
        The values that were found, in words.
    meaning
        What the names of the classes are, in words.
    """

    entry: Entry | None = None
    classes: tuple[str, ...] = ("class-0", "class-1")
    values: tuple[int | str, ...] = ()
    seen: str = ""
    meaning: str = NUMBERED


def find_label(path: Path, entries: Sequence[Entry]) -> LabelGuess:
    """Return a guess at the labels of a file: their name says it, or else their values.

    Parameters
    ----------
    path
        The file.
    entries
        What the file has besides the images, of as many rows.

    Raises
    ------
    SourceError
        If an entry cannot be read.
    """
    named = sorted((entry for entry in entries if _name(entry) in LABELS), key=lambda entry: LABELS.index(_name(entry)))
    for entry in (*named, *(entry for entry in entries if entry not in named)):
        guess = _guess(path, entry, is_named=entry in named)
        if guess:
            return guess
    for entry in named:
        if entry.is_number and entry.is_column:
            return LabelGuess(entry=entry, seen=f"values {_listed(np.unique(read_first(path, entry)).tolist())}")
    return LabelGuess()


def _name(entry: Entry) -> str:
    """Return the name of an entry without its groups, in small letters."""
    return entry.name.rpartition("/")[2].lower()


def _guess(path: Path, entry: Entry, *, is_named: bool) -> LabelGuess | None:
    """Return what classes an entry stands for, or None if it does not look like labels."""
    if entry.is_column and entry.values == "text":
        return _guess_names(entry, read_first(path, entry), is_named)
    if entry.is_column and entry.is_number:
        return _guess_numbers(entry, read_first(path, entry), is_named)
    if len(entry.shape) == 2 and 2 <= entry.shape[1] <= LARGEST_CLASSES and entry.is_number:
        values = read_first(path, entry)
        if np.all((values == 0) | (values == 1)) and np.all(values.sum(axis=1) == 1):
            meaning = "names of the columns in order"
            return LabelGuess(entry=entry, classes=_numbered(entry.shape[1]), seen="one 1 per row", meaning=meaning)
    return None


def _guess_numbers(entry: Entry, column: npt.NDArray[Any], is_named: bool) -> LabelGuess | None:
    distinct = np.unique(column)
    if not np.isfinite(distinct).all() or (distinct != np.rint(distinct)).any():
        return None
    values = [int(value) for value in distinct.tolist()]
    seen = f"values {_listed(values)}"
    if set(values) <= {0, 1}:
        return LabelGuess(entry=entry, seen=seen)
    if set(values) <= {-1, 1}:
        return LabelGuess(entry=entry, values=(-1, 1), seen=seen)
    counted = values == list(range(len(values)))
    if len(values) > (LARGEST_CLASSES if is_named else FEW * counted):
        return None
    if len(values) > len(column) // 2:  # labels repeat, and numbers of rows do not
        return None
    if values[0] >= 0 and values[-1] < min(LARGEST_CLASSES, 2 * len(values)):
        return LabelGuess(entry=entry, classes=_numbered(values[-1] + 1), seen=seen)
    if len(values) == 1:
        return None
    return LabelGuess(entry=entry, classes=_numbered(len(values)), values=tuple(values), seen=seen)


def _guess_names(entry: Entry, column: npt.NDArray[Any], is_named: bool) -> LabelGuess | None:
    names = {as_text(value) for value in column.tolist()}
    if None in names or len(names) > min(LARGEST_CLASSES if is_named else FEW, max(2, len(column) // 2)):
        return None
    texts = sorted(str(name) for name in names)
    if any(not text.isprintable() or not 0 < len(text) <= LONGEST_NAME for text in texts):
        return None
    if len(texts) == 1 and not is_named:
        return None
    more = [f"not-{texts[0]}"] if len(texts) == 1 else []
    meaning = "the texts in the file" + (" and a second class" if more else "") + "; their order is that of the labels"
    return LabelGuess(entry=entry, classes=(*texts, *more), seen=f"texts {_listed(texts)}", meaning=meaning)


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"class-{number}" for number in range(count))


def _listed(values: Sequence[float | str]) -> str:
    shown = ", ".join(value if isinstance(value, str) else f"{value:g}" for value in values[:FEW])
    return shown + (f" and {len(values) - FEW} more" if len(values) > FEW else "")
