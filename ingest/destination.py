"""Where a store may be made, which is checked before any work."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from store.datasets import FORMAT
from store.errors import StoreError
from store.locations import Location, Url
from store.no_store import staging_path
from store.opening import open_unchecked
from store.remote.objects import open_objects

GROUP = "zarr.json"  # in every folder of a Zarr v3 store
RECORD = "ingest.json"  # beside the store while it is made at a URL
PROBE = "probe"


def find_destination(output: Location, inputs: Sequence[Location]) -> Location:
    """Return the URL, or the absolute path without symbolic links, at which a store is made.

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
    RemoteError
        If nothing can be read or written at the URL.
    """
    if isinstance(output, Url):
        _check_url(output, inputs)
        return output
    try:
        path = output.resolve()
    except (RuntimeError, OSError):  # a link to itself is either, depending on Python's version
        raise StoreError(f"{output}: is a link that leads nowhere; choose another --output") from None
    for given in inputs:
        if isinstance(given, Path) and given.resolve() == path:
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


def _check_url(output: Url, inputs: Sequence[Location]) -> None:
    if output.scheme in ("http", "https"):
        raise StoreError(f"{output}: nothing can be written over {output.scheme}; choose another --output")
    if not output.name:
        raise StoreError(f"{output}: is a bucket or server; add the name of the store, as in {output / 'NAME.zarr'}")
    if output in inputs:
        raise StoreError(f"{output}: is the input {output}; choose another --output")
    folder = output.parent
    while folder.key:
        if open_objects(folder).info(GROUP) is not None:
            raise StoreError(f"{output}: lies inside the Zarr store {folder}; choose another --output")
        folder = folder.parent
    temporary = open_objects(staging_path(output))
    temporary.write(PROBE, b"may this be written?")
    temporary.delete(PROBE)


def check_output(output: Location, *, overwrite: bool) -> None:
    """Raise StoreError if the output exists, unless it is a store and may be overwritten.

    Objects that an interrupted ingest has left at a URL are not in the way.
    """
    if not (_holds_store(output) if isinstance(output, Url) else output.exists()):
        return
    try:
        if isinstance(output, Path):
            open_unchecked(output)
    except StoreError:
        raise StoreError(f"{output}: exists and is not a store, and only stores are replaced; choose another") from None
    if not overwrite:
        raise StoreError(f"{output}: already exists; --overwrite replaces it")


def _holds_store(output: Url) -> bool:
    """Return whether there is a store at a URL.

    Raises
    ------
    StoreError
        If there is something else that no interrupted ingest has left.
    """
    objects, unfinished = open_objects(output), open_objects(staging_path(output)).info(RECORD) is not None
    strange = objects.info() is not None
    if objects.info(GROUP) is not None:
        with suppress(ValueError, LookupError, TypeError):
            if json.loads(objects.read(GROUP))["attributes"]["format"] == FORMAT:
                return True
        strange = True
    if strange or (not unfinished and objects.list()):
        raise StoreError(f"{output}: exists and is not a store, and only stores are replaced; choose another")
    return False


@contextmanager
def removing_unused_folders(output: Location) -> Iterator[None]:
    """Remove the folders above the output that the ``with`` block makes and leaves empty; at URLs there are none."""
    made = [folder for folder in output.parents if not folder.exists()] if isinstance(output, Path) else []
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
