"""Whether everything that an HDF5 dataset refers to exists: links, chunks, and other files that hold a part of it.

HDF5 fills what is missing with zeros and says nothing. This module imports little, because `store.sources.probe` runs
it in a process of its own.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from store.errors import SourceError
from store.files import NO_LOCKS

with contextlib.suppress(ImportError):
    import hdf5plugin  # noqa: F401  registers more compression filters with h5py (blosc, zstd, ...)

SIMULATION = "simulation"  # attribute of a file that names the simulation that made its images
NESTING = 16  # virtual datasets of virtual datasets; more are a circle
LEAST_ENTRY = 8  # bytes of a file that the index entry of a chunk takes at least
UNLIMITED = 2**64 - 1


def open_file(path: Path, **options: Any) -> h5py.File:
    """Open an HDF5 file for reading: under HDF5's lock, or without one where the file system has none."""
    try:
        return h5py.File(path, "r", **options)
    except OSError as error:
        # HDF5 gives no number if this process has the file open without a lock already
        if error.errno not in {None, *NO_LOCKS}:
            raise
        return h5py.File(path, "r", locking=False, **options)


@contextlib.contextmanager
def opened(path: Path, **options: Any) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; whatever h5py raises in the block becomes a SourceError that names the file."""
    try:
        file = open_file(path, **options)
    except Exception as error:
        raise SourceError(f"{path}: not a readable HDF5 file ({error})") from None
    with file:
        try:
            yield file
        except SourceError:
            raise
        except Exception as error:  # of a damaged file, h5py raises any of a dozen types
            raise SourceError(f"{path}: cannot be read as HDF5 ({type(error).__name__}: {error})") from error


def has_link(file: h5py.File, key: str) -> bool:
    """Return whether a file has an entry of that name, even if it is a link that leads nowhere."""
    return file.get(key, getlink=True) is not None


def list_unread(group: h5py.Group, keys: Iterable[str], above: str = "") -> Iterator[str]:
    """Yield the names of what a group holds besides `keys`: a whole group has one name, unless some of it is read."""
    wanted = {"/".join(filter(None, key.split("/"))) for key in keys}
    for name in group:
        full = above + name
        if any(key.startswith(f"{full}/") for key in wanted) and isinstance(group.get(name), h5py.Group):
            yield from list_unread(group[name], wanted, f"{full}/")
        elif full not in wanted:
            yield full


def find_dataset(file: h5py.File, path: Path, key: str) -> h5py.Dataset:
    """Return a dataset of an open file.

    Raises
    ------
    SourceError
        If there is no dataset of that name, or it is a link that leads nowhere.
    """
    link = file.get(key, getlink=True)
    if link is None:
        raise SourceError(f"{path}: no dataset {key!r}; the file has {', '.join(map(repr, file)) or 'nothing'}")
    try:
        dataset = file[key]
    except (KeyError, OSError, RuntimeError) as error:
        if isinstance(link, h5py.ExternalLink):
            target = path.parent / link.filename
            reason = "cannot be opened" if target.exists() else "does not exist"
            raise SourceError(f"{path}: {key} is a link to {link.path!r} in {str(target)!r}, which {reason}") from error
        if isinstance(link, h5py.SoftLink):
            raise SourceError(f"{path}: {key} is a link to {link.path!r}, which cannot be opened") from error
        raise
    if not isinstance(dataset, h5py.Dataset):
        raise SourceError(f"{path}: no dataset {key!r}; {key!r} is a {type(dataset).__name__.lower()}")
    if dataset.shape is None:
        raise SourceError(f"{path}: {key} has no values")
    return dataset


def check_storage(dataset: h5py.Dataset, path: Path, nesting: int = 0) -> set[Path]:
    """Check that a dataset is stored in full, before anything of its size is allocated.

    Parameters
    ----------
    dataset
        The dataset.
    path
        The file that the user named, for messages and to resolve names relative to it.
    nesting
        How many virtual datasets led to this one.

    Returns
    -------
    set of pathlib.Path
        Files other than `path` that hold the dataset or a part of it.

    Raises
    ------
    SourceError
        If a chunk was never written, a part lies beyond the end of its file, or another file is missing.
    """
    own = Path(dataset.file.filename)
    files = set() if own == path else {own}
    what = f"{path}: {dataset.name[1:]}" if own == path else f"{path}: {dataset.name[1:]} in {own}"
    if dataset.is_virtual:
        return files | _check_virtual(dataset, path, what, nesting)
    if dataset.external:
        return files | _check_external(dataset, what)
    if dataset.chunks:
        _check_chunks(dataset, what, own.stat().st_size)
    elif dataset.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS and dataset.size:
        _check_contiguous(dataset, what, own.stat().st_size)
    return files


def _check_contiguous(dataset: h5py.Dataset, what: str, size: int) -> None:
    offset, stored = dataset.id.get_offset(), dataset.id.get_storage_size()
    if offset is None or stored < dataset.nbytes:
        raise SourceError(f"{what} was never written: {stored} bytes are stored for its shape {dataset.shape}")
    if offset + dataset.nbytes > size:
        raise SourceError(f"{what} ends at byte {offset + dataset.nbytes}, but its file has only {size} bytes")


def _check_chunks(dataset: h5py.Dataset, what: str, size: int) -> None:
    chunks = dataset.chunks
    per_row = int(np.prod([-(-n // c) for n, c in zip(dataset.shape[1:], chunks[1:], strict=True)], dtype=object))
    expected = -(-dataset.shape[0] // chunks[0]) * per_row if dataset.ndim else 1
    limit = min(expected, size // LEAST_ENTRY)
    starts: list[int] = []
    beyond: list[Any] = []

    def visit(chunk: Any) -> bool | None:
        """Note a chunk; anything but None ends the iteration, which a damaged index could keep up for ever."""
        if chunk.byte_offset is None or chunk.byte_offset >= UNLIMITED or not chunk.size:
            return None
        starts.append(chunk.chunk_offset[0])
        if chunk.byte_offset + chunk.size > size:
            beyond.append(chunk)
        return True if beyond or len(starts) > limit else None

    dataset.id.chunk_iter(visit)
    if beyond:
        first = beyond[0].chunk_offset[0]
        raise SourceError(f"{what}: rows {first} to {_last(dataset, first)} lie beyond the end of the file")
    if len(starts) == expected:
        return
    if len(starts) > expected or len(starts) > limit:
        raise SourceError(f"{what}: the index of its chunks has more entries than its shape {dataset.shape} allows")
    present, counts = np.unique(np.array(starts, np.int64), return_counts=True)
    complete = present[counts == per_row] // chunks[0]
    gaps = np.flatnonzero(complete != np.arange(complete.size))
    number = int(gaps[0]) if gaps.size else complete.size
    later = complete[complete > number]
    first = number * chunks[0]
    last = int(later[0]) * chunks[0] - 1 if later.size else dataset.shape[0] - 1
    raise SourceError(
        f"{what}: rows {first} to {last} were never written; the file has {len(starts)} of {expected} chunks"
    )


def _last(dataset: h5py.Dataset, first: int) -> int:
    """Return the last row of the chunk that begins at a row."""
    return int(min(dataset.shape[0], first + dataset.chunks[0]) - 1)


def _check_external(dataset: h5py.Dataset, what: str) -> set[Path]:
    """Check the raw files that hold a dataset; HDF5 looks for them in the current folder."""
    folder = Path(os.environ.get("HDF5_EXTFILE_PREFIX", ""))
    files, room = set(), 0
    for name, offset, length in dataset.external:
        file = (folder / os.fsdecode(name)).absolute()
        if not file.is_file():
            raise SourceError(f"{what} is stored in {str(file)!r}, which does not exist")
        rest = max(0, file.stat().st_size - offset)
        if length < UNLIMITED and rest < length:
            raise SourceError(
                f"{what} is stored in {str(file)!r}, which is shorter than the {offset + length} bytes needed"
            )
        room += rest if length >= UNLIMITED else length
        files.add(file)
    if room < dataset.nbytes:
        raise SourceError(f"{what} has {dataset.nbytes} bytes, but its external files hold only {room}")
    return files


def _check_virtual(dataset: h5py.Dataset, path: Path, what: str, nesting: int) -> set[Path]:
    """Check every part of a virtual dataset: its file, the dataset in it, and that the parts cover all rows."""
    if nesting >= NESTING:
        raise SourceError(f"{what} is a virtual dataset of virtual datasets, nested more than {NESTING} deep")
    files: set[Path] = set()
    mapped = 0
    for part in dataset.virtual_sources():
        file = _part_file(dataset, part.file_name, what)
        with opened(file) as source:
            try:
                values = find_dataset(source, file, part.dset_name.strip("/"))
                taken = part.vspace.get_select_npoints()
                if not _covers(values, part.src_space, taken):
                    raise SourceError(f"{file}: {part.dset_name} has shape {values.shape}, less than is taken from it")
                files |= {file} | check_storage(values, file, nesting + 1)
            except SourceError as error:
                raise SourceError(f"{what} is a virtual dataset; {error}") from None
        mapped += taken
    if mapped < dataset.size:
        raise SourceError(f"{what} is a virtual dataset whose parts hold {mapped} of its {dataset.size} values")
    return files - {path}


def _covers(values: h5py.Dataset, space: Any, taken: int) -> bool:
    """Return whether a dataset has all that a virtual dataset takes from it: a selection, or all of its values."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return bool(values.size >= taken)
    last = space.get_select_bounds()[1]
    return len(last) == values.ndim and all(index < n for index, n in zip(last, values.shape, strict=True))


def _part_file(dataset: h5py.Dataset, name: str, what: str) -> Path:
    """Return the file of a part of a virtual dataset, found where HDF5 looks for it."""
    own = Path(dataset.file.filename).absolute()
    if name == ".":
        return own
    folders = (Path(os.environ.get("HDF5_VDS_PREFIX", own.parent)), own.parent, Path.cwd())
    for folder in folders:
        if (folder / name).is_file():
            return (folder / name).absolute()
    raise SourceError(f"{what} is a virtual dataset; its part {str(own.parent / name)!r} does not exist")
