"""Whether an HDF5 file from a URL needs other files, which were not fetched with it."""

import contextlib
from collections.abc import Iterable
from typing import Any

import h5py

from store.errors import SourceError
from store.locations import Url


def check_alone(file: h5py.File, url: Url, keys: Iterable[str]) -> None:
    """Check that some datasets of a file at a URL are in this file alone, since only this one file was fetched.

    Raises
    ------
    SourceError
        If one is in another file: by an external link, as a virtual dataset, or in external storage.
    """
    for key in keys:
        parts = key.split("/")
        groups = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        with contextlib.suppress(KeyError):
            is_link = any(isinstance(file.get(group, getlink=True), h5py.ExternalLink) for group in groups)
            if is_link or _is_elsewhere(file[key]):
                raise SourceError(
                    f"{url}: {key} is stored in other files, which are not fetched with this one; copy them all to "
                    "this machine, and give their path"
                )


def _is_elsewhere(entry: Any) -> bool:
    """Return whether the values of a dataset are in other files than the one that it was found in."""
    if not isinstance(entry, h5py.Dataset):
        return False
    if entry.is_virtual:
        return any(part.file_name != "." for part in entry.virtual_sources())
    return bool(entry.external)
