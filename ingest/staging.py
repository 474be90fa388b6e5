"""The folder in which a store is made: held by one process, resumed after a crash, published by a rename."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

from store import files
from store.errors import StateError, StoreError


class StagingFolder:
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
        self.output = output.absolute()  # a cluster's workers may run elsewhere
        self.path = self.output.with_name(f".{output.name}.ingest")
        self.root, self.spool = self.path / "store", self.path / "spool"
        self._record, self._replaced = self.path / "ingest.json", self.path / "replaced"
        self._started = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this process alone; however the process ends, the hold ends with it.

        What a process that was killed in `publish` left is put in order first.

        Raises
        ------
        StoreError
            If another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with ExitStack() as stack:
                stack.callback(self._remove_if_empty)
                stack.enter_context(files.locked(self.path))
                self._settle()
                yield
        except BlockingIOError as error:
            if error.filename != str(self.path):
                raise
            raise StoreError(f"{self.output}: another ingest is making this store") from None

    def _settle(self) -> None:
        if self.output.exists():
            if not self.root.exists():
                self.clear()
        elif self._replaced.exists():
            self._replaced.rename(self.output)

    def _remove_if_empty(self) -> None:
        with suppress(OSError):
            self.path.rmdir()

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
            where, there, here = _difference("", json.loads(self._record.read_text()), ingest)
            if there != here:
                raise StateError(
                    f"{self.path}: an interrupted ingest has {where}={there!r}, this one {here!r}; "
                    "finish that one, or delete the folder"
                )
        else:
            self.clear()
            self.spool.mkdir()
            (self.root / "image").mkdir(parents=True)
            files.write_whole(self._record, json.dumps(ingest).encode())
        self._started = True

    def used(self) -> int:
        """Return the bytes that the folder's files take."""
        return files.folder_bytes(self.path)

    def clear(self) -> None:
        """Delete what is in the folder."""
        files.clear_folder(self.path)

    def abandon(self) -> None:
        """Delete the folder, but not the work of an interrupted ingest that this one did not go on with."""
        if self._started or not self._record.exists():
            self.remove()

    def remove(self) -> None:
        """Delete the folder, the record first: without it nothing in the folder counts."""
        self._record.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def publish(self) -> None:
        """Put the store in its place, where at every moment there is the old one, the new one or none."""
        if self.output.exists():
            self.output.rename(self._replaced)
        self.root.rename(self.output)
        files.sync_folder(self.output.parent)
        self.remove()


def _difference(name: str, found: Any, wanted: Any) -> tuple[str, Any, Any]:
    """Return where two JSON values differ first, and what each has there."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        parts = [(f"{name}.{key}".lstrip("."), found.get(key), value) for key, value in wanted.items()]
    elif isinstance(found, list) and isinstance(wanted, list):
        parts = [(f"{name}[{at}]", *pair) for at, pair in enumerate(zip_longest(found, wanted))]
    else:
        return name, found, wanted
    return next((_difference(*part) for part in parts if part[1] != part[2]), (name, None, None))
