"""The files that `ingest` reads: those that the user names, or else those in data/raw, or the bundled sample."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from store import console
from store.locations import Location

if TYPE_CHECKING:
    from store.datasets import DatasetSpec

RAW = Path("data/raw")
SAMPLES = Path(__file__).parent / "sample"  # one folder per data set


def choose_sources(given: Sequence[Location], spec: "DatasetSpec", sample: bool) -> tuple[Location, ...]:
    """Return the files to ingest; if none were given, say on the terminal which are used."""
    from ingest.source_files import find_files
    from store.sources.values import as_simulation

    if given and sample:
        raise typer.BadParameter("source files and --sample exclude each other: give only one of them")
    if given:
        return tuple(find_files(given))
    raw = [] if sample else raw_files(spec)
    if raw:
        console.console.print(f"[bold]using {len(raw)} files in {RAW}[/bold]")
        return tuple(raw)
    bundled = sorted((SAMPLES / spec.name).glob("*.hdf5"))
    if not bundled:
        raise typer.BadParameter(f"give source files: {RAW} has none of {spec.name}, and no sample of it is bundled")
    simulated = as_simulation(bundled[0], "")
    console.console.print(f"[bold yellow]using the bundled sample: a {simulated}, not CMS data[/bold yellow]")
    return tuple(bundled)


def raw_files(spec: "DatasetSpec") -> list[Path]:
    """Return the files in data/raw, except those that hold a built-in data set and not this one."""
    from ingest.source_files import SUFFIXES
    from store.datasets import DATASETS
    from store.errors import SourceError
    from store.sources.opening import open_tried, try_reading

    def holds(path: Path, data_set: "DatasetSpec") -> bool:
        try:
            open_tried(path, data_set)
        except SourceError:
            return False
        return True

    found = (path for path in RAW.glob("[!.]*") if path.suffix in SUFFIXES)  # macOS writes ._NAME files
    files = sorted(path for path in found if path.is_file())
    others = [other for other in DATASETS.values() if other != spec]
    try_reading(files, [spec, *others])
    return [path for path in files if not any(holds(path, other) for other in others) or holds(path, spec)]
