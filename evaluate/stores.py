"""The stores that the runs of a report were trained on, if they can still be read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import store
from evaluate.observables import Observable, read_observables
from evaluate.results import StoreIdentity
from evaluate.runs import Run
from store.errors import CalostreamError, StoreError
from store.locations import Location, locate
from store.pages.beside import is_page, page_path


@dataclass(frozen=True, kw_only=True)
class ReportStore:
    """A store of a report, and the runs that were trained on it.

    Attributes
    ----------
    number
        Number of the store in the report, from 1.
    identity
        What the runs recorded about it.
    runs
        The runs that were trained on it.
    observables
        Observables of every sample of the test split; empty if the store cannot be read.
    note
        Why the store cannot be read; empty if it can.
    """

    number: int
    identity: StoreIdentity
    runs: Sequence[Run]
    observables: Sequence[Observable]
    note: str

    @property
    def path(self) -> Location:
        """Where the store is."""
        return locate(self.identity.path)

    def page_link(self, report: Path) -> str:
        """Return the link from the folder of a report to the page of the store; empty if there is none."""
        page = page_path(self.path).resolve()
        return quote(os.path.relpath(page, report.resolve())) if is_page(page) else ""


def find_stores(runs: Sequence[Run]) -> list[ReportStore]:
    """Return the stores of the runs: one per digest, in the order of the runs."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.store.digest, []).append(run)
    return [_read(number, members) for number, members in enumerate(groups.values(), start=1)]


def _read(number: int, runs: Sequence[Run]) -> ReportStore:
    identity, observables, note = runs[0].store, list[Observable](), ""
    path = locate(identity.path)
    try:
        check_digest(identity)
        store.open_statistics(path)
        observables = read_observables(path, "test")
    except (CalostreamError, OSError) as error:
        note = f"the store cannot be read, so its images and the metrics by sample property are missing ({error})"
    return ReportStore(number=number, identity=identity, runs=runs, observables=observables, note=note)


def check_digest(identity: StoreIdentity) -> None:
    """Check that a store still holds the data that a run was trained on.

    Raises
    ------
    StoreError
        If it is missing or holds other data.
    """
    digest = store.open_store(identity.path).digest
    if digest != identity.digest:
        raise StoreError(
            f"{identity.path} now holds other data (digest {digest[:12]}) than the run was trained on "
            f"(digest {identity.digest[:12]})"
        )
