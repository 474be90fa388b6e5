"""What is checked whenever a store is opened: that it is complete, and unchanged since it was made.

This costs milliseconds: it lists folders, and reads the metadata and the small arrays, but no image. `ingest verify`
reads everything.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from store.arrays import Int64Array, UInt8Array
from store.datasets import SPLITS, stored_dataset
from store.digests import DIGESTS_FILE, SHA256, content_digest, read_digests, shard_digests
from store.errors import CalostreamError, ConfigError, CorruptStoreError
from store.files import folder_bytes
from store.locations import Location
from store.no_store import computing_statistics
from store.sample_columns import column_types, content_columns

if TYPE_CHECKING:
    from store.opening import Store

ALWAYS = ("label", "split")  # arrays whose files are compared with their digests whatever their size
COORDINATES = ("ieta", "iphi", "channel")
SMALL_BYTES = 16 << 20  # in total; further files are left to `ingest verify` if there is more
MANY = 1 << 25  # samples; in larger stores, labels are checked when they are used, and ``split`` where it changes
SHOWN = 3  # number of names in one message
REMEDY = (
    "copy it again, or ingest again; `ingest verify` looks at every file, "
    "and `ingest select STORE --where … --output NEW` makes a store of a selection"
)


def check_store(store: "Store", *, statistics: bool = True) -> None:
    """Raise an error if a store is incomplete, or if another program has rewritten it.

    Parameters
    ----------
    store
        The store.
    statistics
        Whether to check the group ``statistics`` too.

    Raises
    ------
    CorruptStoreError
        If an attribute is invalid, there are no digests, a recorded file is missing, the metadata or a small array is
        not what was recorded, arrays have unequal lengths, ``split`` disagrees with ``split_ranges``, a label is not a
        class, or the columns are not those of the content digest.
    """
    with naming(store.path):
        check_attributes(store)
        if not (store.folder / DIGESTS_FILE).is_file():
            raise CorruptStoreError(f"{store.path}: has no {DIGESTS_FILE}, as if another program wrote it; {REMEDY}")
        recorded = read_digests(store.folder)
        names = [name for name in recorded if statistics or not name.startswith("statistics/")]
        _check_files(store, {name: recorded[name] for name in sorted(names)})
        check_lengths(store)
        _check_columns(store, recorded)


@contextmanager
def naming(path: Location) -> Iterator[None]:
    """Turn whatever a library raises about a damaged store into an error that names the store."""
    try:
        yield
    except CalostreamError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CorruptStoreError(f"{path}: cannot be read ({reason}); {REMEDY}") from error


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


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(SHA256, value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_ranges(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == set(SPLITS)
        and all(isinstance(pair, list) and len(pair) == 2 and all(map(_is_count, pair)) for pair in value.values())
    )


def _are_sources(value: Any) -> bool:
    return (
        _are_files(value, {"rows": _is_count})
        and len(value) > 0
        and all(_are_files(s.get("parts", []), {}) for s in value)
    )


def _are_files(value: Any, more: dict[str, Callable[[Any], bool]]) -> bool:
    rules = {"name": _is_text, "size": _is_count, "sha256": _is_digest, **more}
    return isinstance(value, list) and all(
        isinstance(file, dict) and all(rule(file.get(key)) for key, rule in rules.items()) for file in value
    )


ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dataset": (_is_text, "the name of a data set"),
    "title": (_is_text, "text"),
    "simulated": (_is_text, "text"),
    "split_scheme": (_is_text, "text"),
    "seed": (_is_count, "a number from 0"),
    "split_ranges": (_are_ranges, "the first and last position of train, validation and test"),
    "sources": (_are_sources, "name, size, sha256 and rows of each source file"),
    "content_digest": (_is_digest, "64 hexadecimal digits"),
}
"""The attributes of the root group that programs use, with the rule that each must fulfil."""


def check_attributes(store: "Store") -> None:
    """Check the types and values of the attributes of the root group, to which users may add others.

    Raises
    ------
    CorruptStoreError
        If one is missing or breaks its rule, or the data set in the store is neither described nor known.
    """
    for name, (rule, words) in ATTRIBUTES.items():
        if name not in store.attributes:
            raise CorruptStoreError(f"{store.path}: has no attribute {name}; {REMEDY}")
        if not rule(store.attributes[name]):
            shown = f"{store.attributes[name]!r:.60}"
            raise CorruptStoreError(f"{store.path}: the attribute {name} is {shown} instead of {words}; {REMEDY}")
    try:
        stored_dataset(store.attributes)
    except ConfigError as error:
        raise CorruptStoreError(f"{store.path}: {error}; {REMEDY}") from None


def _check_files(store: "Store", recorded: dict[str, str]) -> None:
    """Compare the names of all recorded files, and the content of small ones, with what is there."""
    present = set(list_files(store.folder)) | (store.mirror.present if store.mirror else set())
    missing = [name for name in recorded if name not in present]
    if missing:
        names = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
        remedy = _remedy(store, all(name.startswith("statistics/") for name in missing))
        raise CorruptStoreError(f"{store.path}: incomplete, {names} of {DIGESTS_FILE} missing; {remedy}")
    arrays = {*content_columns(store.spec), "split", *COORDINATES, "statistics"}
    small = [name for name in recorded if name.partition("/")[0] in arrays or name == "image/zarr.json"]
    if sum((store.folder / name).stat().st_size for name in small) > SMALL_BYTES:
        always = () if store.image.shape[0] > MANY else ALWAYS
        small = [name for name in small if name.endswith("/zarr.json") or name.partition("/")[0] in always]
    for name in small:
        if hashlib.sha256((store.folder / name).read_bytes()).hexdigest() != recorded[name]:
            remedy = _remedy(store, name.startswith("statistics/"))
            raise CorruptStoreError(f"{store.path / name}: was changed since the store was made; {remedy}")


def _remedy(store: "Store", statistics: bool) -> str:
    return computing_statistics(store.path) if statistics else REMEDY


def check_lengths(store: "Store") -> None:
    """Check that all columns have the type and length that they must have, before anything of that length is read.

    Raises
    ------
    CorruptStoreError
        If a column is missing or has another type or length, or the files of the images are too small for their number.
    """
    samples, *shape = store.image.shape
    if tuple(shape) != store.spec.image_shape:
        expected = store.spec.image_shape
        raise CorruptStoreError(
            f"{store.path / 'image'}: has images of shape {tuple(shape)}, expected {expected}; {REMEDY}"
        )
    stored = folder_bytes(store.folder / "image", enough=samples) if store.mirror is None else store.image_bytes
    if samples > stored:  # the smallest image takes several bytes
        raise CorruptStoreError(f"{store.path / 'image'}: {samples} samples in {stored} bytes; {REMEDY}")
    for name, types in column_types(store.spec, len(store.attributes["sources"])).items():
        array = store.array(name)
        if array.shape != (samples,):
            raise CorruptStoreError(
                f"{store.path / name}: has shape {array.shape}, image has {samples} samples; {REMEDY}"
            )
        if str(array.dtype) not in types:
            expected_types = " or ".join(types)
            raise CorruptStoreError(f"{store.path / name}: is {array.dtype} instead of {expected_types}; {REMEDY}")


def _check_columns(store: "Store", recorded: dict[str, str]) -> None:
    """Compare the columns with the attributes, and with the content digest if they are small."""
    samples = store.image.shape[0]
    ranges = [store.split_range(split) for split in SPLITS]
    sizes = [stop - start for start, stop in ranges]
    if [stop for _, stop in ranges] != np.cumsum(sizes).tolist() or sum(sizes) != samples or min(sizes) < 0:
        raise CorruptStoreError(f"{store.path}: split_ranges {ranges} do not divide the {samples} samples; {REMEDY}")
    split, codes = store.column("split"), np.arange(len(SPLITS), dtype=np.uint8)
    if samples <= MANY:
        agrees = np.array_equal(split, np.repeat(codes, sizes))
    else:
        ends = [(code, (start, stop - 1)) for code, (start, stop) in enumerate(ranges) if start < stop]
        agrees = all(split[position] == code for code, positions in ends for position in positions)
    if not agrees:
        raise CorruptStoreError(f"{store.path / 'split'}: disagrees with the attribute split_ranges; {REMEDY}")
    if samples > MANY:
        return
    label = store.column("label")
    check_labels(store, label, range(samples))
    names = [name for name in content_columns(store.spec) if name not in ALWAYS]
    if sum(store.array(name).nbytes for name in names) <= SMALL_BYTES:
        columns = [label, *map(store.column, names)]
        check_content_digest(store, recorded, columns)


def check_content_digest(store: "Store", recorded: dict[str, str], columns: list[npt.NDArray[Any]]) -> None:
    """Compare the content digest with what it stands for: recorded digests of the shards, split ranges and columns.

    Raises
    ------
    CorruptStoreError
        If the digest is another one.
    """
    digest = content_digest(shard_digests(recorded), store.attributes["split_ranges"], columns)
    if digest != store.digest:
        raise CorruptStoreError(
            f"{store.path}: the attribute content_digest is {store.digest}, its content has {digest}; {REMEDY}"
        )


def check_labels(store: "Store", label: UInt8Array, samples: Sequence[int] | Int64Array) -> None:
    """Check that the labels of some samples, at these positions in the store, are classes.

    Raises
    ------
    CorruptStoreError
        If one is not; the message names the first.
    """
    classes = len(store.spec.classes)
    wrong = label >= classes
    if wrong.any():
        first = int(np.argmax(wrong))
        raise CorruptStoreError(
            f"{store.path / 'label'}[{samples[first]}] = {label[first]}: labels must be below {classes}; {REMEDY}"
        )
