"""Partial copies of remote stores: everything but the image shards, in the cache and checked."""

import functools
import hashlib
import json
import os
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from store.datasets import FORMAT
from store.digests import DIGESTS_FILE, SHARD, parse_digests
from store.errors import CorruptStoreError, StoreError
from store.locations import Url
from store.no_store import describe_content
from store.remote.cache import Cache, open_cache
from store.remote.locks import release
from store.remote.objects import Objects, open_objects
from store.remote.space import STORES
from store.remote.threads import RequestThreads

T = TypeVar("T")
METADATA = "zarr.json"
AT_ONCE = 16  # files that are fetched at a time
LISTS_NOTHING = ("http", "https")
LISTS_FOLDERS = ("root",)  # with a request for each


@dataclass(frozen=True, kw_only=True, eq=False)
class Mirror:
    """A copy of a remote store in the cache, complete but for image shards; it stays as long as this object.

    Attributes
    ----------
    url
        Where the store is.
    key
        Name of the copy in the cache, made from the store's URL and digests.
    cache
        The cache.
    digests
        Recorded sha256 of all files of the store.
    shard_bytes
        Sizes of the shards that the server lists, by name; of the first shard, if it cannot list.
    stored_bytes
        Total size of all shards; an estimate from the first if the server cannot list.
    """

    url: Url
    key: str
    cache: Cache
    digests: dict[str, str]
    shard_bytes: dict[str, int]
    stored_bytes: int

    @property
    def folder(self) -> Path:
        """The folder of the copy."""
        return self.cache.folder / STORES / self.key

    @property
    def shards(self) -> list[str]:
        """Names of all shards."""
        return [name for name in self.digests if SHARD.fullmatch(name)]

    @property
    def present(self) -> set[str]:
        """Names of the shards that are on the server, as far as it can tell."""
        return set(self.shard_bytes if self.url.scheme not in LISTS_NOTHING else self.shards)

    @property
    def other_bytes(self) -> int:
        """Total size of all files but shards."""
        names = [name for name in (DIGESTS_FILE, *self.digests) if not SHARD.fullmatch(name)]
        return sum((self.folder / name).stat().st_size for name in names)

    def is_shard(self, name: str) -> bool:
        """Return whether a file of the store is a shard, which is on the server and may be here."""
        return name in self.digests and SHARD.fullmatch(name) is not None

    def fetch_shard(self, name: str) -> Path:
        """Return the copy of a shard, after fetching and checking it if there is none.

        Raises
        ------
        RemoteError
            If it cannot be fetched.
        CorruptStoreError
            If it is not what was written, or missing.
        """
        return _fetch(
            self.cache, self.key, open_objects(self.url), name, self.digests[name], self.shard_bytes.get(name)
        )


def open_mirror(url: Url) -> Mirror:
    """Return the copy of a remote store, after fetching what is not there.

    Parameters
    ----------
    url
        The store.

    Raises
    ------
    StoreError
        If there is no store; the message says what is there instead.
    CorruptStoreError
        If a file is missing, or is not what was recorded.
    RemoteError
        If the server cannot be reached, or the cache cannot be written.
    """
    objects, cache = open_objects(url), open_cache()
    metadata, record = read_record(objects)
    digests = parse_digests(record, url / DIGESTS_FILE)
    key = hashlib.sha256(b"\n".join((str(url).encode(), metadata, record))).hexdigest()[:32]
    pin = cache.space.pin(key)
    try:
        sizes, stored_bytes = _fetch_rest(objects, cache, key, digests)
        for name, content in ((METADATA, metadata), (DIGESTS_FILE, record)):
            cache.write(f"{STORES}/{key}/{name}", content)
        mirror = Mirror(url=url, key=key, cache=cache, digests=digests, shard_bytes=sizes, stored_bytes=stored_bytes)
    except BaseException:
        release(pin)
        raise
    weakref.finalize(mirror, _unpin, pin, os.getpid()).atexit = False
    return mirror


def _unpin(pin: int, process: int) -> None:
    if os.getpid() == process:
        release(pin)
    else:
        os.close(pin)  # the lock is that of the process from which this one was forked


def read_record(objects: Objects) -> tuple[bytes, bytes]:
    """Return the metadata of a store's root group and the record of its digests.

    Raises
    ------
    StoreError
        If there is no store; the message says what is there instead.
    CorruptStoreError
        If it has no record.
    """
    url = objects.url
    metadata, record = _at_once(functools.partial(_read, objects), [METADATA, DIGESTS_FILE])
    if metadata is None:
        raise StoreError(f"{url}: {_describe_absence(objects)}")
    if record is None and not _is_store(metadata):
        raise StoreError(f"{url}: is a Zarr group, but not a {FORMAT} store")
    if record is None:
        raise CorruptStoreError(f"{url}: has no {DIGESTS_FILE}; copy the store again, or ingest again")
    return metadata, record


@functools.lru_cache(maxsize=64)
def reopen_mirror(url: Url, key: str, _process: int) -> Mirror:
    """Return the copy of a store that another process has opened.

    Raises
    ------
    CorruptStoreError
        If there is another store at the URL meanwhile.
    """
    mirror = open_mirror(url)
    if mirror.key != key:
        raise CorruptStoreError(f"{url}: was replaced while the store was being read; open it again")
    return mirror


def _fetch_rest(objects: Objects, cache: Cache, key: str, digests: dict[str, str]) -> tuple[dict[str, int], int]:
    """Fetch all files but shards; return the sizes of the shards, as far as they are known, and the size of all."""
    shards = [name for name in digests if SHARD.fullmatch(name)]
    names = [name for name in digests if name != METADATA and not SHARD.fullmatch(name)]
    sizes: dict[str, int] = {}
    if objects.url.scheme not in LISTS_NOTHING:
        sizes = objects.list("image" if objects.url.scheme in LISTS_FOLDERS else "")
    elif shards and (first := objects.info(shards[0])) is not None:
        sizes = {shards[0]: first.size}
    _at_once(lambda name: _fetch(cache, key, objects, name, digests[name], sizes.get(name)), names)
    known = {name: size for name, size in sizes.items() if SHARD.fullmatch(name)}
    total = sum(known.values())
    return known, total * len(shards) if objects.url.scheme in LISTS_NOTHING else total


def _fetch(cache: Cache, key: str, objects: Objects, name: str, digest: str, size: int | None = None) -> Path:
    """Return the copy of a file of a store."""
    try:
        return cache.fetch(f"{STORES}/{key}/{name}", objects, name, digest=digest, size=size)
    except FileNotFoundError as error:
        if "://" not in str(error.filename):
            raise
        raise CorruptStoreError(
            f"{objects.url}: incomplete, {name} of {DIGESTS_FILE} missing; copy it again, or ingest again"
        ) from None


def _at_once(function: Callable[[Any], T], values: Iterable[Any]) -> list[T]:
    """Return the results of a function, called in several threads."""
    with RequestThreads(AT_ONCE, "calostream-mirror") as threads:
        return threads.map(function, values)


def _read(objects: Objects, name: str) -> bytes | None:
    try:
        return objects.read(name)
    except FileNotFoundError:
        return None


def _is_store(metadata: bytes) -> bool:
    try:
        return bool(json.loads(metadata)["attributes"]["format"] == FORMAT)
    except (ValueError, KeyError, TypeError):
        return False


def _describe_absence(objects: Objects) -> str:
    """Return what is at a URL instead of a store, as the end of an error message."""
    url = objects.url
    info = objects.info() if url.key else None
    if info is not None:
        return describe_content(url, objects.read("", 0, min(8, info.size)))
    if url.scheme not in LISTS_NOTHING and objects.entries():
        return "is a folder without a store; a store is a folder with a file zarr.json, such as `ingest` makes"
    return f"no store here; `ingest --output {url}` makes one"
