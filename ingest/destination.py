"""Where a store may be made, which is checked before any work."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from store.errors import StoreError
from store.opening import open_unchecked

GROUP = "zarr.json"  # in every folder of a Zarr v3 store


def find_destination(output: Path, inputs: Sequence[Path]) -> Path:
    """Return the absolute path, without symbolic links, at which a store is made.

    Where the output is a link to a store, or to a path that does not exist, the store is made there and the link stays.

    Parameters
    ----------
    output
        The output that the user named.
    inputs
        Files and folders that are read.

    Raises
    ------
    StoreError
        If the output is an input, lies in a store, or is in a folder that cannot be made or written to.
    """
    try:
        path = output.resolve()
    except (RuntimeError, OSError):  # a link to itself is either, depending on Python's version
        raise StoreError(f"{output}: is a link that leads nowhere; choose another --output") from None
    for given in inputs:
        if given.resolve() == path:
            raise StoreError(f"{output}: is the input {given}; choose another --output")
    for folder in path.parents:
        if (folder / GROUP).is_file():
            raise StoreError(f"{output}: lies inside the Zarr store {folder}; choose another --output")
    folder = next(folder for folder in path.parents if os.path.lexists(folder))
    if not folder.is_dir():
        raise StoreError(f"{output}: cannot be made, because {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"{output}: cannot be made, because you may not write to {folder}")
    return path


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raise StoreError if the output exists, unless it is a store and may be overwritten."""
    if not output.exists():
        return
    try:
        open_unchecked(output)
    except StoreError:
        raise StoreError(f"{output}: exists and is not a store, and only stores are replaced; choose another") from None
    if not overwrite:
        raise StoreError(f"{output}: already exists; --overwrite replaces it")


@contextmanager
def removing_unused_folders(output: Path) -> Iterator[None]:
    """Remove the folders above the output that the ``with`` block makes and leaves empty."""
    made = [folder for folder in output.parents if not folder.exists()]
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
