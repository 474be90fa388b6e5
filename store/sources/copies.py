"""Copies of source files that are at URLs, in the local cache of this machine."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import rich.progress

from store.console import console
from store.errors import ConfigError, SourceError
from store.locations import Location, Url
from store.remote.cache import open_cache
from store.remote.copy_names import copy_name
from store.remote.objects import ObjectInfo, ReadableObjects, open_objects
from store.remote.ranges import RANGE
from store.remote.threads import RequestThreads

if TYPE_CHECKING:
    from store.sources.source import Source

S = TypeVar("S", bound="Source")
SMALL_AT_ONCE = 16  # files of one request each
LARGE_AT_ONCE = 2  # files of several requests at a time
ROOM = 0.9  # of the cache's bound, since it is kept a little below it


def here(source: S) -> S:
    """Return a source as this machine has it: one at a URL is fetched if there is no copy in the local cache.

    Raises
    ------
    SourceError
        If the remote file is no longer the one that was opened.
    RemoteError
        If it cannot be fetched.
    """
    if source.url is None:
        return source
    cache = open_cache()
    path = cache.folder / copy_name(source.url)
    if _stamp(path) == source.stamp:
        cache.space.touch(path)
    else:
        path = cache.fetch(copy_name(source.url), open_objects(source.url))
        if _stamp(path) != source.stamp:
            raise SourceError(f"{source.url}: was changed while it was read")
    return source if path == source.path else cast(S, replace(cast(Any, source), path=path))


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def fetch_all(locations: Sequence[Location]) -> list[Path]:
    """Return the paths of some files on this machine, after fetching those at URLs that are not in the local cache.

    If one cannot be fetched, the others stay in the cache.

    Raises
    ------
    SourceError
        If there is no file at a URL.
    ConfigError
        If the cache is too small for all of them.
    RemoteError
        If one cannot be fetched; the message names its URL.
    """
    urls = list(dict.fromkeys(location for location in locations if isinstance(location, Url)))
    copies = _fetch_urls(urls) if urls else {}
    return [copies[location] if isinstance(location, Url) else location for location in locations]


def _fetch_urls(urls: Sequence[Url]) -> dict[Url, Path]:
    stop = threading.Event()
    with RequestThreads(SMALL_AT_ONCE) as threads:
        infos = dict(zip(urls, threads.map(_find_info, urls), strict=True))
    total = sum(info.size for info in infos.values())
    _check_room(len(urls), total)
    copies = dict[Url, Path]()
    columns = (*rich.progress.Progress.get_default_columns(), rich.progress.DownloadColumn())
    with rich.progress.Progress(*columns, console=console) as bar:
        line = bar.add_task("fetching sources", total=total)
        fetch = _Fetch(infos=infos, stop=stop, advance=lambda size: bar.advance(line, size))
        for at_once, is_large in ((SMALL_AT_ONCE, False), (LARGE_AT_ONCE, True)):
            chosen = [url for url in urls if (infos[url].size > RANGE) == is_large]
            with _stopping(stop), RequestThreads(at_once) as threads:
                copies.update(zip(chosen, threads.map(fetch, chosen), strict=True))
        bar.update(line, completed=total)  # with what was in the cache
    return copies


def _check_room(files: int, total: int) -> None:
    cache = open_cache()
    room = int(ROOM * cache.limit)
    if total > room:
        raise ConfigError(
            f"the cache {cache.folder} has room for {room:,} bytes, and the sources at URLs have {total:,} "
            f"({files:,} in number); give --cache-size {int(total / ROOM / 1e9) + 1}GB, or fewer sources"
        )


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Set `stop` if the block ends early."""
    try:
        yield
    except BaseException:
        stop.set()
        raise


def _find_info(url: Url) -> ObjectInfo:
    info = open_objects(url).info()
    if info is None:
        raise SourceError(f"{url}: no such file")
    return info


@dataclass(frozen=True, kw_only=True)
class _Fetch:
    """Fetches a file; ends early when it is told to stop."""

    infos: Mapping[Url, ObjectInfo]
    stop: threading.Event
    advance: Callable[[int], None]

    def __call__(self, url: Url) -> Path:
        objects = _Watched(open_objects(url), self)
        return open_cache().fetch(copy_name(url), objects)


class _Watched:
    """The objects of a URL; counts what is read for a progress bar, and asks for what is known only after reading."""

    def __init__(self, objects: ReadableObjects, fetch: _Fetch) -> None:
        self._objects, self._fetch, self.url = objects, fetch, objects.url
        self._known: ObjectInfo | None = fetch.infos[objects.url]

    def info(self, name: str = "") -> ObjectInfo | None:
        return self._known or self._objects.info(name)

    def read(self, name: str = "", start: int = 0, stop: int | None = None) -> bytes:
        if self._fetch.stop.is_set():
            raise InterruptedError
        self._known = None
        content = self._objects.read(name, start, stop)
        self._fetch.advance(len(content))
        return content
