"""Objects of XRootD servers, such as EOS at CERN, through XRootD's own client; credentials are those that it finds."""

import functools
import os
import uuid
from typing import Any

from store.errors import RemoteError, printable
from store.extras import require
from store.locations import Url
from store.remote.objects import ObjectInfo
from store.remote.threads import interruptible

PATIENCE = 30  # seconds for one request, so that a server that does not answer is noticed
DEFAULTS = {
    "ConnectionWindow": 10,
    "ConnectionRetry": 2,
    "RequestTimeout": PATIENCE,
    "StreamTimeout": 20,
    "TimeoutResolution": 1,
}
"""Settings of the client that are used unless the environment has others, as ``XRD_CONNECTIONWINDOW``; in seconds."""
MISSING = 3011  # kXR_NotFound
NO_FOLDER = (MISSING, 3005, 3012)  # kXR_FSError and kXR_ServerError, for a file where a folder is meant
WORDS = (
    ("Connection error", "no XRootD server answers"),
    ("Operation expired", "the server does not answer"),
    ("Socket timeout", "the server does not answer"),
    ("Invalid address", "no such host"),
    ("Auth failed", "access denied; check the credentials in the environment"),
    ("[3010]", "access denied; check the credentials in the environment"),
)


class XrootdObjects:
    """Objects of an XRootD server; see `store.remote.objects.Objects`.

    Parameters
    ----------
    url
        See `Objects`.

    Raises
    ------
    ConfigError
        If XRootD's client is not installed.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        self._client = _load_client(str(url))
        self._files = self._client.FileSystem(f"{url.root}/")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.url,)

    def _path(self, name: str) -> str:
        return "/" + "/".join(part.strip("/") for part in (self.url.key, name) if part.strip("/"))

    def _url(self, name: str) -> Url:
        return self.url / name if name else self.url

    def _check(self, status: Any, name: str, doing: str) -> None:
        """Raise what the status of a request means, if it has failed."""
        if status.ok:
            return
        if status.errno == MISSING:
            raise FileNotFoundError(2, "no such object", str(self._url(name)))
        text = " ".join(status.message.split())
        reason = next((words for sign, words in WORDS if sign in text), printable(text[:200]))
        raise RemoteError(f"{self._url(name)}: cannot be {doing} ({reason})")

    @interruptible
    def info(self, name: str = "") -> ObjectInfo | None:
        """See `Objects.info`."""
        from XRootD.client.flags import StatInfoFlags

        status, found = self._files.stat(self._path(name), timeout=PATIENCE)
        if status.errno == MISSING:
            return None
        self._check(status, name, "read")
        return None if found.flags & StatInfoFlags.IS_DIR else ObjectInfo(found.size, str(found.modtime))

    @interruptible
    def read(self, name: str = "", start: int = 0, stop: int | None = None) -> bytes:
        """See `Objects.read`."""
        size = 0 if stop is None else stop - start
        if stop is not None and size <= 0:
            return b""
        file = self._open(name, "read", "READ")
        try:
            status, content = file.read(start, size, timeout=PATIENCE)
        finally:
            file.close(timeout=PATIENCE)
        self._check(status, name, "read")
        if stop is not None and len(content) != size:
            raise RemoteError(f"{self._url(name)}: has no bytes {start + len(content)} to {stop - 1}")
        return bytes(content)

    @interruptible
    def list(self, prefix: str = "") -> dict[str, int]:
        """See `Objects.list`; one request per folder."""
        sizes: dict[str, int] = {}
        folders = [prefix.strip("/")]
        while folders:
            folder = folders.pop()
            for name, (is_folder, size) in self._entries(folder).items():
                path = f"{folder}/{name}" if folder else name
                if is_folder:
                    folders.append(path)
                else:
                    sizes[path] = size
        return dict(sorted(sizes.items()))

    @interruptible
    def entries(self, prefix: str = "") -> dict[str, bool]:
        """See `Objects.entries`."""
        return {name: is_folder for name, (is_folder, _) in sorted(self._entries(prefix).items())}

    def _entries(self, folder: str) -> dict[str, tuple[bool, int]]:
        """Return whether each entry of a folder is a folder, and its size; empty if there is no such folder."""
        from XRootD.client.flags import DirListFlags, StatInfoFlags

        status, entries = self._files.dirlist(self._path(folder), DirListFlags.STAT, timeout=PATIENCE)
        if status.errno in NO_FOLDER:
            return {}
        self._check(status, folder, "listed")
        infos = ((entry.name, entry.statinfo) for entry in entries)
        return {name: (bool(info.flags & StatInfoFlags.IS_DIR), info.size) for name, info in infos}

    @interruptible
    def write(self, name: str, content: bytes | memoryview) -> None:
        """See `Objects.write`: written under another name beside it, which then becomes its own."""
        folder, _, last = self._path(name).rpartition("/")
        partial = f"{folder}/.{last}.{uuid.uuid4().hex}"
        file = self._open(name, "written", "DELETE", "MAKEPATH", path=partial)
        try:
            written, _ = file.write(bytes(content), timeout=PATIENCE)
            closed, _ = file.close(timeout=PATIENCE)
            self._check(written, name, "written")
            self._check(closed, name, "written")
            self._check(self._files.mv(partial, f"{folder}/{last}", timeout=PATIENCE)[0], name, "written")
        except OSError:
            self._files.rm(partial, timeout=PATIENCE)
            raise

    @interruptible
    def delete(self, name: str) -> None:
        """See `Objects.delete`; folders below the URL that are empty then are deleted too."""
        path = self._path(name)
        status, _ = self._files.rm(path, timeout=PATIENCE)
        if status.errno != MISSING:
            self._check(status, name, "deleted")
        while (path := path.rpartition("/")[0]).startswith(self._path("")):
            if not self._files.rmdir(path, timeout=PATIENCE)[0].ok:
                break

    def _open(self, name: str, doing: str, *flags: str, path: str | None = None) -> Any:
        from XRootD.client.flags import OpenFlags

        file = self._client.File()
        mask = functools.reduce(int.__or__, (getattr(OpenFlags, flag) for flag in flags))
        status, _ = file.open(f"{self.url.root}/{path or self._path(name)}", mask, timeout=PATIENCE)
        self._check(status, name, doing)
        return file


@functools.cache
def _load_client(url: str) -> Any:
    """Return XRootD's client, told to give up on servers that do not answer."""
    require("xrootd", "XRootD", needed_by=url)
    from XRootD import client

    for name, value in DEFAULTS.items():
        if f"XRD_{name.upper()}" not in os.environ:
            client.EnvPutInt(name, value)  # type: ignore[attr-defined, no-untyped-call]
    return client
