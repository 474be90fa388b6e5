"""The content of a store as tables for the terminal."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ingest.reference import reference_table
from ingest.rows import image_rows, samples_by_class, variable_rows, weight_by_class
from ingest.tables import NumberTable
from store.console import printable
from store.locations import Location
from store.opening import Store, open_store, read_statistics
from store.plans.plan import BatchPlan
from store.plans.shuffle_quality import ShuffleQuality, shuffle_quality
from store.plans.shuffles import SHUFFLES
from store.readers.mapped_reader import MappedReader
from store.readers.mounts import file_system
from store.readers.pread_reader import PreadReader
from store.readers.sample_reader import READER_VARIABLE, ZarrReader, choose_reader

MOST_SOURCES = 20  # sources that are listed; `--json` lists all
MOST_NAMES = 20  # classes, and variables, that are listed
MOST_ROWS = 48  # of each table of statistics
READERS = {
    MappedReader.kind: "image by image, from a memory map",
    PreadReader.kind: "image by image, by pread",
    ZarrReader.kind: "chunk by chunk, through zarr-python",
}
"""How each reader reads, by its `kind`."""


def describe_store(path: Location, reference: bool = False, quality: bool = False) -> RenderableType:
    """Return tables of the identity and splits of a store, and of the statistics of its training split.

    Parameters
    ----------
    path
        The store.
    reference
        Whether to add the published statistics of the real files.
    quality
        Whether to add how well each kind of shuffling mixes the training split.

    Raises
    ------
    StoreError
        If the path holds no store, or one without statistics.
    """
    store = open_store(path)
    statistics = read_statistics(store)
    simulated = store.attributes["simulated"]
    title = Text(printable(store.attributes["title"]), style="bold")
    origin = Text(
        f"{printable(simulated)}, not CMS data" if simulated else "no source declares a simulation", style="bold yellow"
    )
    tables = [image_table(statistics)]
    if "variable" in statistics.dims:
        tables.append(variable_table(statistics))
    if quality:
        tables.append(shuffle_table(store))
    if reference:
        tables.append(reference_table(store.attributes["dataset"], statistics))
    return Group(title, origin, identity_table(store), *tables)


def identity_table(store: Store) -> Table:
    """Return size, splits, variables, sources and digest of a store."""
    attributes, image = store.attributes, store.image
    samples, stored = image.shape[0], store.stored_bytes
    splits = ", ".join(f"{name} {stop - start:,}" for name, (start, stop) in attributes["split_ranges"].items())
    sources = _source_lines(attributes["sources"])
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in (
        ("store", f"{store.path} ({attributes['format']} {attributes['format_version']})"),
        ("images", f"{samples:,} of {' x '.join(map(str, image.shape[1:]))}, {image.dtype}"),
        ("stored", f"{stored / 1e6:.1f} MB for {image.nbytes / 1e6:.1f} MB, {stored / samples:.0f} bytes per image"),
        ("read as", describe_reader(store)),
        ("splits", f"{splits}; scheme {attributes['split_scheme']}, seed {attributes['seed']}"),
        *_selection_rows(attributes),
        *_column_rows(store),
        ("sources", "\n".join(sources)),
        ("content", attributes["content_digest"]),
    ):
        table.add_row(Text(name, style="dim"), Text(printable(value)))
    return table


def _column_rows(store: Store) -> list[tuple[str, str]]:
    """Return a row for the classes, one for each variable, and one for the weights."""
    samples, variables = store.image.shape[0], store.spec.variables
    counts = samples_by_class(store, 0, samples)
    rows = [("classes", _listed([f"{name} {count:,}" for name, count in counts.items()]))]
    for variable in variables[:MOST_NAMES]:
        unit = f", {variable.units}" if variable.units != "1" else ""
        whole = ", int64" if store.array(variable.name).dtype == np.int64 else ""
        rows.append((variable.name, f"{variable.long_name}{unit}{whole}"))
    if len(variables) > MOST_NAMES:
        rows.append(("", f"and {len(variables) - MOST_NAMES:,} more variables"))
    weights = weight_by_class(store, 0, samples)
    if weights:
        rows.append(("weight", "sums: " + _listed([f"{name} {weight:,.6g}" for name, weight in weights.items()])))
    return rows


def _listed(words: Sequence[str]) -> str:
    """Return words one after another, or the first ones and how many more there are."""
    more = f" and {len(words) - MOST_NAMES:,} more" if len(words) > MOST_NAMES else ""
    return ", ".join(words[:MOST_NAMES]) + more


def _selection_rows(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a row for each cut that the samples of a store passed, the latest first."""
    rows, selection = [], attributes.get("selection")
    while isinstance(selection, dict) and "where" in selection:
        counts = f": {selection['after']:,} of {selection['before']:,} samples" if "before" in selection else ""
        rows.append(("selection", f"{selection['where']}{counts}"))
        selection = selection.get("earlier")
    return rows


def _source_lines(sources: list[dict[str, Any]]) -> list[str]:
    """Return a line for each source; for the first ones, and one for the others, if there are many."""
    lines = [_source_line(source) for source in sources[:MOST_SOURCES]]
    if len(sources) > MOST_SOURCES:
        rows = sum(source["rows"] for source in sources)
        lines.append(f"and {len(sources) - MOST_SOURCES:,} more; {len(sources):,} sources of {rows:,} rows in all")
    return lines


def _source_line(source: dict[str, Any]) -> str:
    parts, class_name = len(source.get("parts", ())), source.get("class")
    line = f"{source['name']}, {source['rows']:,} rows, sha256 {source['sha256'][:12]}"
    line += f", class {class_name}" if class_name else ""
    return f"{line}, and {parts} files that it takes values from" if parts else line


def describe_reader(store: Store) -> str:
    """Return how programs on this machine read the images of a store, and why."""
    kind = choose_reader(store.image, store.shards).kind
    reason = ""
    if kind != ZarrReader.kind and (chosen := os.environ.get(READER_VARIABLE)):
        reason = f", as {READER_VARIABLE}={chosen} demands"
    elif kind == PreadReader.kind:
        reason = f", because the store is on {file_system(store.folder)}"
    return f"{READERS[kind]}{reason}"


def image_table(statistics: xr.Dataset) -> NumberTable:
    """Return the statistics of a store's images by class and channel."""
    table = NumberTable(
        "training split, values as in the source files",
        ("class", "channel"),
        ("mean", "std", "min", "max", "non-zero", "images", "empty"),
    )
    rows = image_rows(statistics)
    for row in rows[:MOST_ROWS]:
        table.add_row(
            row["class"],
            row["channel"],
            *(f"{row[key]:.4g}" for key in ("mean", "std", "minimum", "maximum")),
            f"{row['nonzero_share']:.2%}",
            f"{row['images']:,}",
            f"{row['empty_images']:,}",
        )
    return _say_left_out(table, len(rows), "classes and channels")


def variable_table(statistics: xr.Dataset) -> NumberTable:
    """Return the statistics of a store's variables by class."""
    numbers = ("mean", "std", "min", "median", "max")
    table = NumberTable("variables, training split", ("class", "variable", "units"), numbers)
    rows = variable_rows(statistics)
    for row in rows[:MOST_ROWS]:
        values = (row[key] for key in ("mean", "std", "minimum", "median", "maximum"))
        table.add_row(row["class"], row["variable"], row["units"], *(f"{value:.4g}" for value in values))
    return _say_left_out(table, len(rows), "classes and variables")


def _say_left_out(table: NumberTable, rows: int, words: str) -> NumberTable:
    if rows > MOST_ROWS:
        table.caption = f"and {rows - MOST_ROWS:,} more {words}; --json has all"
    return table


def shuffle_qualities(store: Store, batch_size: int = 512) -> tuple[int, dict[str, ShuffleQuality]]:
    """Return how well each kind of shuffling of `store.BatchStream` mixes the training split, and the batch size.

    The batch size is lower if the split has fewer than two such batches; nothing can be computed below two samples per
    batch.
    """
    start, stop = store.split_range("train")
    label = store.column("label", start, stop)
    batch_size = min(batch_size, label.size // 2)
    kinds = SHUFFLES if batch_size > 1 else ()
    chunk, shard = store.image.chunks[0], (store.image.shards or store.image.chunks)[0]
    plans = {
        kind: BatchPlan(start=start, stop=stop, batch_size=batch_size, shuffle=kind, chunk=chunk, shard=shard)
        for kind in kinds
    }
    return batch_size, {kind: shuffle_quality(plan, label) for kind, plan in plans.items()}


def shuffle_table(store: Store) -> NumberTable:
    """Return what `shuffle_qualities` returns, as a table."""
    batch_size, qualities = shuffle_qualities(store)
    table = NumberTable(
        f"shuffling in batches of {batch_size}; 1 for a random permutation",
        ["shuffle"],
        ["pairs kept together", "class balance"],
    )
    for kind, quality in qualities.items():
        table.add_row(kind, f"{quality.companions:.3g}", f"{quality.balance:.3g}")
    return table
