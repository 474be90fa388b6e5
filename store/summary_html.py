"""The short form of a store that notebooks show: what is in it, as a small table. All text is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from store.arrays import UInt8Array
from store.datasets import Channel
from store.errors import printable
from store.integrity import MANY

if TYPE_CHECKING:
    import xarray as xr

    from store.opened_store import Store

MOST_CLASSES = 10
"""Classes that are listed."""

CELL = "text-align:left;padding:.15em 1em .15em 0;vertical-align:top"


def describe_store(store: "Store") -> str:
    """Return what an opened store is, as HTML; no image is read."""
    attributes, image, spec = store.attributes, store.image, store.spec
    rows = {"images": f"{image.shape[0]:,} of {_size(image.shape[1:])}", "channels": _channels(spec.channels)}
    ranges = {name: store.split_range(name) for name in attributes["split_ranges"]}
    few = image.shape[0] <= MANY
    for name, (start, stop) in ranges.items():
        counts = _counts(store.column("label", start, stop), spec.classes) if few else ""
        rows[name] = f"{stop - start:,}{counts}"
    if not few:
        rows["classes"] = _listed(spec.classes)
    if spec.variables:
        rows["variables"] = _listed(v.name + (f" ({v.units})" if v.units != "1" else "") for v in spec.variables)
    rows["simulation"] = attributes["simulated"] or "no source declares one"
    rows["store"] = f"{store.path}, digest {store.digest[:12]}"
    return _table(attributes["title"], rows)


def describe_dataset(dataset: "xr.Dataset") -> str:
    """Return what the samples of a dataset of a store are, as HTML; no image is read.

    Parameters
    ----------
    dataset
        From `store.coordinates.with_coordinates`.
    """
    rows: dict[str, str] = {}
    image = dataset.get("image")
    if image is not None and "sample" in image.dims:
        sides = [dataset.sizes[name] for name in ("ieta", "iphi", "channel") if name in image.dims]
        rows["images"] = f"{dataset.sizes['sample']:,} of {_size(sides)}"
    names, units = ([str(text) for text in np.ravel(dataset[name].values)] for name in ("channel", "unit"))
    rows["channels"] = ", ".join(
        name + (f" ({unit})" if unit != "1" else "") for name, unit in zip(names, units, strict=True)
    )
    if dataset["label"].size <= MANY:
        classes, counts = np.unique(np.ravel(dataset["class_name"].values).astype(str), return_counts=True)
        rows["classes"] = _listed(f"{name} {count:,}" for name, count in zip(classes, counts, strict=True))
    if simulated := dataset.attrs.get("simulated"):
        rows["simulation"] = str(simulated)
    rows["methods"] = "energy(), cells(), mean_image(), spectrum(), plot_showers()"
    return _table(str(dataset.attrs.get("title", "Images of a store")), rows)


def message(text: str) -> str:
    """Return a line of text as HTML."""
    return str(Markup("<p>{}</p>").format(printable(text)))


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _channels(channels: Iterable[Channel]) -> str:
    return ", ".join(c.name + (f" (stored value x {c.scale:g} {c.unit})" if c.unit != "1" else "") for c in channels)


def _counts(label: UInt8Array, classes: Sequence[str]) -> str:
    counts = np.bincount(label, minlength=len(classes))
    return ": " + _listed(f"{name} {count:,}" for name, count in zip(classes, counts, strict=True))


def _listed(words: Iterable[str]) -> str:
    words = list(words)
    more = f" and {len(words) - MOST_CLASSES:,} more" if len(words) > MOST_CLASSES else ""
    return ", ".join(words[:MOST_CLASSES]) + more


def _table(title: str, rows: Mapping[str, str]) -> str:
    """Return a table with a row for each name, under a title."""
    row = Markup('<tr><th scope="row" style="{}">{}</th><td style="{}">{}</td></tr>')
    lines = [row.format(CELL, printable(name), CELL, printable(value)) for name, value in rows.items()]
    caption = Markup('<caption style="text-align:left;font-weight:600;color:inherit">{}</caption>')
    table = Markup("<table>{}<tbody>{}</tbody></table>")
    return str(table.format(caption.format(printable(title)), Markup("").join(lines)))
