"""The folder in which a store is made: held by one process, resumed after a crash, published by a rename."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from store.errors import StateError, StoreError
from store.writer import write_whole


class WorkFolder:
    """A hidden folder beside the store that is being made.

    Parameters
    ----------
    output
        Where the store will be.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    root : pathlib.Path
        The store in the making.
    spool : pathlib.Path
        For files that go when the store is done.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.path = output.with_name(f".{output.name}.ingest")
        self.root, self.spool = self.path / "store", self.path / "spool"
        self._record = self.path / "ingest.json"
        self._started = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this process alone; however the process ends, the hold ends with it.

        Raises
        ------
        StoreError
            If another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                gone = os.fstat(folder).st_ino != self.path.stat().st_ino
            except (BlockingIOError, FileNotFoundError):
                gone = True
            if gone:
                raise StoreError(f"{self.output}: another ingest is making this store")
            yield
        finally:
            os.close(folder)

    def start(self, ingest: dict[str, Any]) -> None:
        """Begin, or go on with an interrupted ingest of the same things.

        Parameters
        ----------
        ingest
            What decides the store's content, as JSON types.

        Raises
        ------
        StateError
            If the folder is of another ingest; the message names the difference.
        """
        if self._record.exists():
            found = json.loads(self._record.read_text())
            for name, value in ingest.items():
                if found.get(name) != value:
                    raise StateError(
                        f"{self.path}: an interrupted ingest has {name}={found.get(name)!r}, this one {value!r}; "
                        "finish that one, or delete the folder"
                    )
        else:
            self.clear()
            write_whole(self._record, json.dumps(ingest).encode())
        self._started = True
        self.spool.mkdir(exist_ok=True)
        (self.root / "image").mkdir(parents=True, exist_ok=True)

    def used(self) -> int:
        """Return the bytes that the folder's files take."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def clear(self) -> None:
        """Delete what is in the folder."""
        for child in self.path.iterdir():
            shutil.rmtree(child) if child.is_dir() else child.unlink()

    def abandon(self) -> None:
        """Delete the folder, but not the work of an interrupted ingest that this one did not go on with."""
        if self._started or not self._record.exists():
            self.remove()

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)

    def publish(self) -> None:
        """Put the store in its place, where at every moment there is the old one, the new one or none."""
        shutil.rmtree(self.spool, ignore_errors=True)
        if self.output.exists():
            self.output.rename(self.path / "replaced")
        self.root.rename(self.output)
        if os.name == "posix":
            folder = os.open(self.output.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        self.remove()
