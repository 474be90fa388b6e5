"""Objects of object stores and HTTP servers, through obstore; credentials and endpoints come from the environment."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from store.errors import ConfigError, RemoteError
from store.extras import require
from store.locations import Url
from store.remote.credentials import check_credentials
from store.remote.failures import NoRangesError, explain, naming_url
from store.remote.objects import ObjectInfo
from store.remote.threads import interruptible

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

STALLED = timedelta(seconds=20)  # without any byte, after which a request is repeated
CONNECTED = timedelta(seconds=10)
REPEATED = 5  # times, with 0.2, 0.4, 0.8, ... seconds between
LARGE = 1 << 20  # bytes of an object; for a larger one that is written, no byte may come back for longer
WRITTEN = timedelta(minutes=5)
LARGEST_PUT = 256 << 20  # bytes; a larger object is written in parts, of which a killed process leaves some behind
GIVEN_UP = timedelta(seconds=90)
SETTINGS = ("AWS_", "GOOGLE_", "AZURE_")  # how the variables begin that obstore reads
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


class ObstoreObjects:
    """Objects of S3, Google Cloud Storage, Azure and HTTP servers.

    Parameters
    ----------
    url
        See `Objects`.

    Raises
    ------
    ConfigError
        If obstore is not installed, or the environment has an invalid setting.
    """

    def __init__(self, url: Url) -> None:
        self.url = url
        self._is_signed = url.query != ""
        self._store = _open_store(f"{url.root}?{url.query}" if self._is_signed else url.root, STALLED)
        self._prefix = url.key

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.url,)

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)

    def _url(self, name: str) -> Url:
        return self.url / name if name else self.url

    @interruptible
    def info(self, name: str = "") -> ObjectInfo | None:
        """See `Objects.info`."""
        import obstore

        if not self._key(name):
            return None  # of a bucket
        try:
            with naming_url(self._url(name)):
                if self._is_signed:  # often for GET alone
                    meta = obstore.get(self._store, self._key(name), options={"range": (0, 1)}).meta
                else:
                    meta = obstore.head(self._store, self._key(name))
        except FileNotFoundError:
            return None
        return ObjectInfo(meta["size"], str(meta["e_tag"] or meta["last_modified"]))

    @interruptible
    def read(self, name: str = "", start: int = 0, stop: int | None = None) -> bytes:
        """See `Objects.read`."""
        import obstore

        with naming_url(self._url(name)):
            if stop is not None and stop <= start:
                return b""
            if start == 0 and stop is None:
                return bytes(obstore.get(self._store, self._key(name)).bytes())
            if stop is None:
                options: Any = {"range": {"offset": start}}
                return bytes(obstore.get(self._store, self._key(name), options=options).bytes())
            try:
                content = bytes(obstore.get_range(self._store, self._key(name), start=start, end=stop))
            except obstore.exceptions.NotSupportedError:
                content = self._read_whole(name, start, stop)
        if len(content) != stop - start:
            raise RemoteError(f"{self._url(name)}: has no bytes {start + len(content)} to {stop - 1}")
        return content

    def _read_whole(self, name: str, start: int, stop: int) -> bytes:
        """Return the bytes [start, stop) of an object of a server that sends no ranges, if they are all there are."""
        import obstore

        result = obstore.get(self._store, self._key(name))
        if start > 0 or result.meta["size"] > stop:
            raise NoRangesError(f"{self._url(name)}: cannot be read (the server sends no ranges of files)")
        return bytes(result.bytes())

    @interruptible
    def list(self, prefix: str = "") -> dict[str, int]:
        """See `Objects.list`."""
        import obstore

        cut = len(self._prefix) + 1 if self._prefix else 0
        with self._listing(prefix) as key:
            objects = (meta for page in obstore.list(self._store, key, chunk_size=1000) for meta in page)
            return dict(sorted((meta["path"][cut:], meta["size"]) for meta in objects if meta["path"] != key))

    @interruptible
    def entries(self, prefix: str = "") -> dict[str, bool]:
        """See `Objects.entries`."""
        import obstore

        with self._listing(prefix) as key:
            listed = obstore.list_with_delimiter(self._store, key)
        files = {meta["path"].rpartition("/")[2]: False for meta in listed["objects"] if meta["path"] != key}
        folders = {path.rstrip("/").rpartition("/")[2]: True for path in listed["common_prefixes"]}
        return dict(sorted({**files, **folders}.items()))

    @contextmanager
    def _listing(self, prefix: str) -> Iterator[str | None]:
        """Yield the key of a folder for listing it; what a library raises in the block names the folder's URL."""
        if self.url.scheme in ("http", "https"):
            raise RemoteError(f"{self._url(prefix)}: servers over {self.url.scheme} list no files; name each one")
        with naming_url(self._url(prefix), doing="listed"):
            yield self._key(prefix) or None

    @interruptible
    def write(self, name: str, content: bytes | memoryview) -> None:
        """See `Objects.write`."""
        import obstore

        with naming_url(self._url(name), doing="written"):
            store = self._store if len(content) < LARGE else _open_store(self.url.root, WRITTEN)
            obstore.put(store, self._key(name), content, use_multipart=len(content) > LARGEST_PUT)

    @interruptible
    def delete(self, name: str) -> None:
        """See `Objects.delete`."""
        import obstore

        try:
            with naming_url(self._url(name), doing="deleted"):
                obstore.delete(self._store, self._key(name))
        except FileNotFoundError:
            pass


def _open_store(root: str, stalled: timedelta) -> "ObjectStore":
    """Return the store of a host or bucket: one per process and settings, since it keeps connections open."""
    settings = frozenset((name, value) for name, value in os.environ.items() if name.startswith(SETTINGS))
    return _make_store(root, stalled, os.getpid(), settings)


@functools.lru_cache(maxsize=64)
def _make_store(root: str, stalled: timedelta, _process: int, _settings: frozenset[tuple[str, str]]) -> "ObjectStore":
    name = root.partition("?")[0]
    require("remote", "obstore", needed_by=name)
    check_credentials(name)
    from obstore.store import from_url

    endpoint = _find_endpoint(name) if root.startswith("s3://") else ""
    client: ClientConfig = {
        "timeout": timedelta(hours=1),
        "read_timeout": stalled,
        "connect_timeout": CONNECTED,
        "allow_http": root.startswith("http://") or endpoint.startswith("http://"),
    }
    retry: RetryConfig = {
        "max_retries": REPEATED,
        "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=10), "base": 2},
        "retry_timeout": GIVEN_UP + 2 * (stalled - STALLED),
    }
    options: dict[str, Any] = {"client_options": client, "retry_config": retry}
    if endpoint:
        options["endpoint"] = endpoint
    try:
        return from_url(root, **options)
    except Exception as error:
        raise ConfigError(f"{name}: {explain(error, root.partition(':')[0])}") from error


def _find_endpoint(root: str) -> str:
    """Return the S3 server that the environment names, or an empty text for Amazon's.

    obstore, which reads these variables too, ends the program if one of them is no URL.
    """
    given = {name: os.environ[name] for name in ENDPOINTS if name in os.environ}
    for name, value in given.items():
        if not value.startswith(("http://", "https://")):
            raise ConfigError(f"{root}: {name}={value!r} is not the URL of a server, such as https://host; unset it")
    return next(iter(given.values()), "")
