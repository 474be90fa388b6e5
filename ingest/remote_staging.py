"""Making a store at a URL: its shards are written where they stay, and the metadata of its root group last.

The record of the ingest is at the URL too, in a sibling of the store, so that what is there without a store can be told
from objects of others, and a cluster resumes an ingest whose first machine is gone.
"""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ingest.destination import GROUP, RECORD
from ingest.executors import Executor
from ingest.fetched_shards import check_object
from ingest.places import open_place
from ingest.staging import StagingFolder
from store.digests import DIGESTS_FILE, read_digests
from store.errors import CorruptStoreError
from store.files import remove, sha256
from store.integrity import list_files
from store.layout import shard_path
from store.locations import Location, Url
from store.no_store import staging_path
from store.remote.cache import open_cache

AT_ONCE = 16  # requests


class RemoteStaging(StagingFolder):
    """A folder in the local cache for everything but the shards of a store that is being made at a URL.

    Parameters
    ----------
    output
        URL of the finished store.
    spool_at_url
        Whether runs and records of finished work are at the URL too, because workers do not share this machine's disk.
    """

    def __init__(self, output: Url, *, spool_at_url: bool) -> None:
        self.output: Location = output
        self._url, self._beside = output, staging_path(output)
        self._lay_out(open_cache().folder / "ingest" / hashlib.sha256(output.text.encode()).hexdigest()[:32])
        self._record = self._beside / RECORD
        if spool_at_url:
            self.spool = self._beside / "spool"
        self._objects = open_place(output)

    @property
    def shards(self) -> Location:
        """URL of the store."""
        return self.output

    def _has_record(self) -> bool:
        return open_place(self._beside).info(RECORD) is not None

    def _settle_publishing(self) -> None:
        """Delete what an earlier process left that was killed after the store was complete."""
        with suppress(FileNotFoundError):
            if (self.root / GROUP).read_bytes() == self._objects.read(GROUP):
                self.remove()

    def make_room(self, shards: int) -> None:
        """Delete the store that is replaced, its root group first, and everything that is not one of its shards."""
        self._objects.delete(GROUP)
        self._delete_all_but(shard_path(Path(), shard).as_posix() for shard in range(shards))

    def _delete_all_but(self, names: Iterable[str]) -> None:
        _delete(self._url, set(self._objects.list()) - set(names))

    def abandon(self) -> None:
        """Delete everything, unless there is an interrupted ingest that this one did not resume.

        A store that would have been replaced stays if no shard was written yet.
        """
        if self._started:
            if self._objects.info(GROUP) is None:
                self._delete_all_but(())
            self.remove()
        elif not self._has_record():
            super().remove()

    def remove(self) -> None:
        """Delete all temporary objects, the record last, and the folder."""
        spool = open_place(self._beside)
        _delete(self._beside, set(spool.list()) - {RECORD})
        spool.delete(RECORD)
        remove(self.root)
        super().remove()

    def publish(self) -> None:
        """Write everything but the shards, compare it with what was written, and make the store visible.

        Raises
        ------
        CorruptStoreError
            If an object is not what was written.
        """
        recorded = read_digests(self.root)
        recorded[DIGESTS_FILE] = sha256(self.root / DIGESTS_FILE)
        own = sorted(set(list_files(self.root)) - {GROUP})
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._write, own))
            list(pool.map(lambda name: check_object(self._url, name, recorded[name]), own))
        self._delete_all_but(recorded)
        missing = sorted(set(recorded) - {GROUP} - set(self._objects.list()))
        if missing:
            raise CorruptStoreError(f"{self._url / missing[0]}: is gone; run this again, and it is written anew")
        self._write(GROUP)
        check_object(self._url, GROUP, recorded[GROUP])
        self.remove()

    def _write(self, name: str) -> None:
        self._objects.write(name, (self.root / name).read_bytes())


def open_staging(output: Location, executor: Executor) -> StagingFolder:
    """Return where a store is made, for an output that `ingest.destination.find_destination` returned."""
    if isinstance(output, Url):
        return RemoteStaging(output, spool_at_url=not executor.shares_disk)
    return StagingFolder(output)


def _delete(url: Url, names: Iterable[str]) -> None:
    objects = open_place(url)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(objects.delete, sorted(names)))
