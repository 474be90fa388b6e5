"""The stores that runs saw, as far as they are still there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import store
from evaluate.observables import Variable, read_variables
from evaluate.runs import Run
from store.errors import CalostreamError, StoreError


@dataclass(frozen=True, kw_only=True)
class SeenStore:
    """One store and the runs that saw it.

    Attributes
    ----------
    place
        1, 2, ... in the report.
    identity
        As the runs recorded it.
    runs
        Those on it.
    variables
        Of every sample of the test split; none if the store cannot be read.
    note
        Why it cannot be read, if so.
    """

    place: int
    identity: Mapping[str, Any]
    runs: Sequence[Run]
    variables: Sequence[Variable]
    note: str

    @property
    def path(self) -> Path:
        """The store's folder."""
        return Path(self.identity["path"])


def find_stores(runs: Sequence[Run]) -> list[SeenStore]:
    """Return the stores of the runs, each digest once."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.store["digest"], []).append(run)
    return [_find(place, group) for place, group in enumerate(groups.values(), start=1)]


def _find(place: int, runs: Sequence[Run]) -> SeenStore:
    identity, variables, note = runs[0].store, list[Variable](), ""
    path, digest = identity["path"], identity["digest"]
    try:
        found = store.open_store(path).digest
        if found != digest:
            raise StoreError(f"{path} now holds other data (digest {found[:12]}) than the run saw")
        store.open_statistics(path)
        variables = read_variables(Path(path), "test")
    except (CalostreamError, OSError) as error:
        note = f"images of the store cannot be shown, nor metrics by what is in them ({error})"
    return SeenStore(place=place, identity=identity, runs=runs, variables=variables, note=note)
