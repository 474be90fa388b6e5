"""The folder in which a store is made: locked by one process, resumed after a crash, published by one rename."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ingest.places import open_place
from ingest.records import read_record, write_record
from ingest.spool import Spool
from store import files
from store.console import say
from store.errors import StateError, StoreError
from store.locations import Location
from store.no_store import staging_path


class StagingFolder:
    """A hidden folder beside the store that is being made.

    Parameters
    ----------
    output
        Path of the finished store.

    Attributes
    ----------
    output : pathlib.Path
        The same, as an absolute path.
    path : pathlib.Path
        The staging folder.
    root : pathlib.Path
        The unfinished store in it.
    spool : Location
        Folder in it, or URL, for runs and records of finished work.
    """

    def __init__(self, output: Path) -> None:
        self.output: Location = output.absolute()  # workers of a cluster may run in another folder
        self._lay_out(staging_path(output.absolute()))

    def _lay_out(self, path: Path) -> None:
        self.path, self.root = path, path / "store"
        self.spool: Location = path / "spool"
        self._record: Location = path / "ingest.json"
        self._replaced = path / "replaced"
        self._started = False

    @property
    def shards(self) -> Location:
        """Folder or URL of the store into which image shards are written."""
        return self.root

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder for this process; the lock ends with the process, however that ends.

        If an earlier process was killed in `publish`, its work is completed or undone first.

        Raises
        ------
        StoreError
            If another process has locked the folder, or something else has its name.
        """
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_dir()):
            raise StoreError(
                f"{self.path}: is not a folder; ingest needs this name for its temporary files, so delete it"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with ExitStack() as stack:
                stack.callback(self._remove_if_empty)
                stack.enter_context(files.locked(self.path))
                self._settle_publishing()
                yield
        except BlockingIOError as error:
            if error.filename != str(self.path):
                raise
            raise StoreError(f"{self.output}: another ingest is making this store") from None

    def _settle_publishing(self) -> None:
        assert isinstance(self.output, Path)
        if self.output.exists():
            if not self.root.exists():
                self.clear()
        elif self._replaced.exists():
            self._replaced.rename(self.output)

    def _remove_if_empty(self) -> None:
        with suppress(OSError):
            self.path.rmdir()

    def start(self, record: dict[str, Any]) -> Spool:
        """Begin a new ingest, or resume an interrupted one that had the same sources and options.

        Whatever else an interrupted ingest left counts only if it belongs to the same ingest and is undamaged, so the
        record of the interrupted ingest may be missing or damaged.

        Parameters
        ----------
        record
            Everything that decides the store's content, as JSON types.

        Returns
        -------
        Spool
            The spool of this ingest.

        Raises
        ------
        StateError
            If the folder has another ingest; the message names the first difference.
        """
        interrupted = read_record(self._record)
        if interrupted is not None:
            key, before, requested = _first_difference("", interrupted, record)
            if before != requested:
                raise StateError(
                    f"{self._record.parent}: an interrupted ingest has {key}={before!r}, this one {requested!r}; "
                    "finish that one, or delete the folder"
                )
        elif self._has_record():
            open_place(self._record.parent).delete(self._record.name)
            say(f"{self._record}: is damaged; finished work is used where it is undamaged and of this ingest")
        own = (files.LOCK, *(own.name for own in (self.root, self.spool, self._record, self._replaced)))
        for path in self.path.iterdir():
            if path.name not in own:
                files.remove(path)
        spool = [self.spool] if isinstance(self.spool, Path) else []
        for folder in (*spool, self.root, self.root / "image"):
            files.make_folder(folder)
            files.sync_folder(folder.parent)
        if interrupted is None:
            write_record(self._record, record)
        self._started = True
        return Spool(place=self.spool, ingest=hashlib.sha256(json.dumps(record).encode()).hexdigest())

    def _has_record(self) -> bool:
        """Return whether there is a record of an interrupted ingest, even if it is damaged."""
        return os.path.lexists(self.path / self._record.name)

    def make_room(self, shards: int) -> None:
        """Delete what the destination must not have when its shards are written; see `ingest.remote_staging`.

        Parameters
        ----------
        shards
            Number of shards that the store will have.
        """

    def used(self) -> int:
        """Return the total size of the files in the folder, in bytes."""
        return files.folder_bytes(self.path)

    def clear(self) -> None:
        """Delete everything in the folder except its lock."""
        files.clear_folder(self.path)

    def abandon(self) -> None:
        """Delete the folder, unless it has an interrupted ingest that this one did not resume."""
        if self._started or not self._has_record():
            self.remove()

    def remove(self) -> None:
        """Delete the folder, its record first, so that what may be left does not refuse another ingest."""
        with suppress(OSError):
            files.remove(self.path / self._record.name)
        shutil.rmtree(self.path, ignore_errors=True)

    def publish(self) -> None:
        """Move the store to its destination, which has the old store, the new one or none at every moment."""
        assert isinstance(self.output, Path)
        files.sync_tree(self.root)
        if self.output.exists():
            files.remove(self._replaced)
            self.output.rename(self._replaced)
        self.root.rename(self.output)
        files.sync_folder(self.output.parent)
        self.remove()


def _first_difference(key: str, first: Any, second: Any) -> tuple[str, Any, Any]:
    """Return the key of the first difference between two JSON values, and what each has under it; None if equal."""
    if isinstance(first, dict) and isinstance(second, dict):
        parts = [(f"{key}.{name}".lstrip("."), first.get(name), value) for name, value in second.items()]
    elif isinstance(first, list) and isinstance(second, list):
        parts = [(f"{key}[{number}]", *pair) for number, pair in enumerate(zip_longest(first, second))]
    else:
        return key, first, second
    return next((_first_difference(*part) for part in parts if part[1] != part[2]), (key, None, None))
