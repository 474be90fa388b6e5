"""Objects at URLs: one protocol for object stores, HTTP servers and XRootD servers."""

import os
from typing import NamedTuple, Protocol

from store.locations import Url

_opened_by: list[int] = []  # the process that was the first to open objects


class ObjectInfo(NamedTuple):
    """What a server says about an object, without its content.

    Attributes
    ----------
    size
        In bytes.
    version
        Text that changes whenever the object does: its entity tag, or the time of its last change.
    """

    size: int
    version: str


class ReadableObjects(Protocol):
    """What `Objects` has for reading."""

    url: Url

    def info(self, name: str = "") -> ObjectInfo | None:
        """Return what the server says about an object, or None if there is none of this name."""

    def read(self, name: str = "", start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes [start, stop) of an object.

        Raises
        ------
        FileNotFoundError
            If there is no such object; the error names its URL.
        RemoteError
            If it cannot be read, or has fewer bytes.
        """


class Objects(ReadableObjects, Protocol):
    """The objects below a URL. All methods may be called from several threads at once, and raise `RemoteError`.

    Names are relative to the URL, with forward slashes; the empty name is the URL itself.
    """

    def list(self, prefix: str = "") -> dict[str, int]:
        """Return the sizes of all objects below a folder, by name, sorted.

        Raises
        ------
        RemoteError
            If the server cannot list, as over HTTP.
        """

    def entries(self, prefix: str = "") -> dict[str, bool]:
        """Return whether each entry of a folder is a folder itself, by the name of the entry, sorted.

        Raises
        ------
        RemoteError
            If the server cannot list, as over HTTP.
        """

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write an object; it appears as a whole, and replaces one of the same name."""

    def delete(self, name: str) -> None:
        """Delete an object, if it exists."""


def open_objects(url: Url) -> Objects:
    """Return the objects below a URL; no request is sent yet.

    Credentials and endpoints are taken from the environment, as obstore and XRootD do it. Neither works in a process
    that was forked after they were used, which gets `store.remote.relay.RelayedObjects`.

    Raises
    ------
    ConfigError
        If a package for this kind of URL is not installed.
    """
    if not _opened_by:
        _opened_by.append(os.getpid())
    if _opened_by[0] != os.getpid():
        from store.remote.relay import RelayedObjects

        return RelayedObjects(url)
    if url.scheme == "root":
        from store.remote.xrootd import XrootdObjects

        return XrootdObjects(url)
    from store.remote.obstore import ObstoreObjects

    return ObstoreObjects(url)
