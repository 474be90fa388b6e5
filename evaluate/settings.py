"""Settings and provenance of runs side by side."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evaluate.results import RunResults

Rows = dict[str, list[str]]
"""Values by name of the row, one per run; empty where a run has none."""
SEPARATE = ("run", "store")
"""Settings that are shown elsewhere, and differ between all runs."""
FIELDS = {
    "command": "command",
    "date": "date",
    "commit": "commit of calostream",
    "host": "host",
    "device": "device",
    "processors": "processors",
    "threads": "threads that decode",
    "OMP_NUM_THREADS": "threads that compute (OMP_NUM_THREADS)",
    "feed": "images from",
    "python": "Python",
    "platform": "platform",
}
PACKAGES = {
    "torch": ("torch",),
    "keras": ("keras", "tensorflow", "tensorflow-cpu"),
    "trees": ("scikit-learn",),
    "logistic": ("scikit-learn",),
}
COMMON = ("calostream", "numpy", "zarr")
"""Packages that every run uses, beside those of its framework."""


def tabulate_settings(runs: Sequence[RunResults]) -> tuple[Rows, Rows]:
    """Return the settings that differ between runs, and those that are the same."""
    rows = _beside(dict(_flatten(run.config)) for run in runs)
    differing = {name: values for name, values in rows.items() if len(set(values)) > 1 and name not in SEPARATE}
    return differing, {name: values for name, values in rows.items() if name not in differing}


def tabulate_provenance(runs: Sequence[RunResults]) -> Rows:
    """Return where, when and with what the runs were made; what no run recorded is left out."""
    return _beside(map(_describe, runs))


def _describe(run: RunResults) -> dict[str, str]:
    known = dict(_flatten(run.environment)) | {"threads": str(run.config.get("threads", ""))}
    described = {heading: known[name] for name, heading in FIELDS.items() if known.get(name)}
    packages = run.environment.get("packages")
    if isinstance(packages, dict):
        used = (*PACKAGES.get(run.framework, ()), *COMMON)
        described["packages"] = ", ".join(f"{name} {packages[name]}" for name in used if name in packages)
    return described


def _beside(columns: Iterable[Mapping[str, str]]) -> Rows:
    columns = list(columns)
    names = dict.fromkeys(name for column in columns for name in column)
    return {name: [column.get(name, "") for column in columns] for name in names}


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield nested settings by their dotted names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value if isinstance(value, str) else json.dumps(value)
