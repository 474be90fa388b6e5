"""Reading and writing objects at URLs: obstore for object stores and HTTP, fsspec-xrootd for ``root://``."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from store.errors import ConfigError, RemoteError
from store.locations import Url

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

STALLED = timedelta(seconds=20)  # without any byte, after which a request is repeated
CONNECTED = timedelta(seconds=10)
REPEATED = 5  # times, with 0.2, 0.4, 0.8, ... seconds between
GIVEN_UP = timedelta(seconds=90)
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


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


class Objects(Protocol):
    """The objects below a URL. All methods may be called from several threads at once, and raise `RemoteError`.

    Names are relative to the URL, with forward slashes; the empty name is the URL itself.
    """

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

    def list(self, prefix: str = "") -> dict[str, int]:
        """Return the sizes of all objects below a folder, by name, sorted.

        Raises
        ------
        RemoteError
            If the server cannot list, as over HTTP.
        """

    def write(self, name: str, content: bytes) -> None:
        """Write an object; it appears as a whole, and replaces one of the same name."""

    def delete(self, name: str) -> None:
        """Delete an object, if it exists."""


def open_objects(url: Url) -> Objects:
    """Return the objects below a URL; no request is sent yet.

    Credentials and endpoints are taken from the environment, as obstore and XRootD do it.

    Raises
    ------
    ConfigError
        If a package for this kind of URL is not installed.
    """
    if url.scheme == "root":
        from store.remote.xrootd import XrootdObjects

        return XrootdObjects(url)
    return ObstoreObjects(url)


@contextmanager
def naming_url(url: Url, *, doing: str = "read") -> Iterator[None]:
    """Turn what a library raises about a remote object into one line that names its URL."""
    try:
        yield
    except RemoteError:
        raise
    except FileNotFoundError:
        raise FileNotFoundError(2, "no such object", str(url)) from None
    except Exception as error:
        raise RemoteError(f"{url}: cannot be {doing} ({explain(error)})") from error


def explain(error: Exception) -> str:
    """Return why a request failed, in one line, without what may hold a signature or repeats the request."""
    name, text = type(error).__name__, str(error)
    if name in ("UnauthenticatedError", "PermissionDeniedError"):
        return "access denied; check the credentials in the environment"
    if "metadata" in text and ("169.254" in text or "token" in text.lower() or "IMDS" in text):
        return "no credentials in the environment, such as AWS_ACCESS_KEY_ID; AWS_SKIP_SIGNATURE=true for public data"
    for sign, words in (
        ("NoSuchBucket", "there is no such bucket"),
        ("operation timed out", "the server does not answer"),
        ("Connection refused", "connection refused"),
        ("dns error", "no such host"),
    ):
        if sign in text:
            return words
    import re

    status = re.search(r"status:? (\d{3}[^:,\n]*)|(\d{3}) (?:Internal|Bad|Service|Gateway)[^:,\n]*", text)
    if status:
        return f"the server answers {' '.join(status[0].removeprefix('status').strip(' :').split())}"
    return " ".join(text.split())[:200] or name


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
        self._store = _open_store(url.root, os.getpid())
        self._prefix = url.key

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.url,)

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)

    def _url(self, name: str) -> Url:
        return self.url / name if name else self.url

    def info(self, name: str = "") -> ObjectInfo | None:
        """See `Objects.info`."""
        import obstore

        try:
            with naming_url(self._url(name)):
                meta = obstore.head(self._store, self._key(name))
        except FileNotFoundError:
            return None
        return ObjectInfo(meta["size"], str(meta["e_tag"] or meta["last_modified"]))

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
            content = bytes(obstore.get_range(self._store, self._key(name), start=start, end=stop))
        if len(content) != stop - start:
            raise RemoteError(f"{self._url(name)}: has no bytes {start + len(content)} to {stop - 1}")
        return content

    def list(self, prefix: str = "") -> dict[str, int]:
        """See `Objects.list`."""
        import obstore

        if self.url.scheme in ("http", "https"):
            raise RemoteError(f"{self._url(prefix)}: servers over {self.url.scheme} list no files; name each one")
        key = self._key(prefix)
        cut = len(self._prefix) + 1 if self._prefix else 0
        with naming_url(self._url(prefix), doing="listed"):
            objects = (meta for page in obstore.list(self._store, key or None, chunk_size=1000) for meta in page)
            return dict(sorted((meta["path"][cut:], meta["size"]) for meta in objects))

    def write(self, name: str, content: bytes) -> None:
        """See `Objects.write`."""
        import obstore

        with naming_url(self._url(name), doing="written"):
            obstore.put(self._store, self._key(name), content)

    def delete(self, name: str) -> None:
        """See `Objects.delete`."""
        import obstore

        try:
            with naming_url(self._url(name), doing="deleted"):
                obstore.delete(self._store, self._key(name))
        except FileNotFoundError:
            pass


@functools.lru_cache(maxsize=64)
def _open_store(root: str, _process: int) -> "ObjectStore":
    """Return the store of a host or bucket: one per process, since it keeps connections open."""
    if find_spec("obstore") is None:
        raise ConfigError(f"{root}: obstore is not installed; `pip install 'calostream[remote]'` does it")
    from obstore.store import from_url

    endpoint = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), "")
    client: ClientConfig = {
        "timeout": timedelta(hours=1),
        "read_timeout": STALLED,
        "connect_timeout": CONNECTED,
        "allow_http": root.startswith("http://") or endpoint.startswith("http://"),
    }
    retry: RetryConfig = {
        "max_retries": REPEATED,
        "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=10), "base": 2},
        "retry_timeout": GIVEN_UP,
    }
    options: dict[str, Any] = {"client_options": client, "retry_config": retry}
    if root.startswith("s3://") and endpoint:
        options["endpoint"] = endpoint
    try:
        return from_url(root, **options)
    except Exception as error:
        raise ConfigError(f"{root}: {' '.join(str(error).split())[:200]}") from error
