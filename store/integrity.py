"""What is checked whenever a store is opened: that it is complete, and still the one that was ingested.

This costs milliseconds: it lists folders, and reads the metadata and the one-byte columns ``label`` and ``split``, but
no image. ``ingest verify`` reads everything.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from store.datasets import SPLITS
from store.digests import DIGESTS_FILE, read_digests
from store.errors import CorruptStoreError

if TYPE_CHECKING:
    from store.opening import Store

SMALL = ("label", "split")  # columns whose files are compared with their digests
COLUMNS = (*SMALL, "source_file", "source_row")
SHOWN = 3  # names in one message
REMEDY = (
    "copy it again, or ingest again; `ingest verify` looks at every file, "
    "and `ingest select STORE --where … --output NEW` makes a store of a selection"
)


def check_store(store: "Store") -> None:
    """Refuse a store that is incomplete, or that another program has rewritten.

    Raises
    ------
    CorruptStoreError
        If there are no digests, a recorded file is missing, metadata, ``label`` or ``split`` are not what was recorded,
        arrays have unequal lengths, ``split`` disagrees with ``split_ranges``, or a label is not a class.
    """
    if not (store.path / DIGESTS_FILE).is_file():
        raise CorruptStoreError(f"{store.path}: has no {DIGESTS_FILE}, as if another program wrote it; {REMEDY}")
    recorded = read_digests(store.path)
    present = set(list_files(store.path))
    missing = sorted(recorded.keys() - present)
    if missing:
        names = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
        raise CorruptStoreError(f"{store.path}: incomplete, {names} of {DIGESTS_FILE} missing; {REMEDY}")
    for name in sorted(filter(_is_small, recorded)):
        if hashlib.sha256((store.path / name).read_bytes()).hexdigest() != recorded[name]:
            raise CorruptStoreError(f"{store.path / name}: was changed since the store was made; {REMEDY}")
    _check_arrays(store)


def list_files(root: Path) -> Iterator[str]:
    """Yield the paths of all files below a folder, relative to it, with forward slashes."""
    stack = [""]
    while stack:
        folder = stack.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                name = f"{folder}{entry.name}"
                if entry.is_dir():
                    stack.append(f"{name}/")
                else:
                    yield name


def _is_small(name: str) -> bool:
    """Return whether a file is the metadata of an array of the format, or belongs to a column in `SMALL`.

    The metadata of the root group may change: users add columns of their own.
    """
    array, _, rest = name.partition("/")
    return array in SMALL or (rest == "zarr.json" and array in (*COLUMNS, "image"))


def _check_arrays(store: "Store") -> None:
    samples = store.image.shape[0]
    for name in (*COLUMNS, *(variable.name for variable in store.spec.variables)):
        if name not in store.group:
            raise CorruptStoreError(f"{store.path}: no array {name}; {REMEDY}")
        shape = store.group[name].shape  # type: ignore[union-attr]
        if shape != (samples,):
            raise CorruptStoreError(f"{store.path / name}: has shape {shape}, image has {samples} samples; {REMEDY}")
    ranges = [store.split_range(split) for split in SPLITS]
    sizes = [stop - start for start, stop in ranges]
    if [stop for _, stop in ranges] != np.cumsum(sizes).tolist() or sum(sizes) != samples or min(sizes) < 0:
        raise CorruptStoreError(f"{store.path}: split_ranges {ranges} do not divide the {samples} samples; {REMEDY}")
    split = np.asarray(store.group["split"][:])  # type: ignore[index]
    if not np.array_equal(split, np.repeat(np.arange(len(SPLITS), dtype=np.uint8), sizes)):
        raise CorruptStoreError(f"{store.path / 'split'}: disagrees with the attribute split_ranges; {REMEDY}")
    label = np.asarray(store.group["label"][:])  # type: ignore[index]
    classes = len(store.spec.classes)
    if label.size and int(label.max()) >= classes:
        at = int(np.argmax(label >= classes))
        raise CorruptStoreError(f"{store.path / 'label'}[{at}] = {label[at]}: labels must be below {classes}; {REMEDY}")
