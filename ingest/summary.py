"""The content of a store as one JSON document, for programs; docs/ingest.md describes it."""

import math
from typing import Any

from ingest.info import READERS, shuffle_qualities
from ingest.reference import compare_published
from ingest.rows import image_rows, samples_by_class, variable_rows, weight_by_class
from store.locations import Location
from store.opening import Store, open_store, read_statistics
from store.readers.sample_reader import choose_reader

SUMMARY_VERSION = 2


def summarise_store(path: Location, reference: bool = False, quality: bool = False) -> dict[str, Any]:
    """Return what `ingest.info.describe_store` shows, as values that JSON can hold.

    Parameters
    ----------
    path
        The store.
    reference
        Whether to add the published statistics of the real files.
    quality
        Whether to add how well each kind of shuffling mixes the training split.

    Returns
    -------
    dict
        Numbers that are not finite are None.

    Raises
    ------
    StoreError
        If the path holds no store, or one without statistics, or nothing is published for `reference`.
    """
    store = open_store(path)
    statistics = read_statistics(store)
    spec, image, attributes = store.spec, store.image, store.attributes
    reader = choose_reader(image, store.shards).kind
    document = {
        "summary_version": SUMMARY_VERSION,
        "store": str(path),
        **{key: attributes[key] for key in ("format", "format_version", "dataset", "title", "simulated")},
        "samples": image.shape[0],
        "image_shape": list(image.shape[1:]),
        "dtype": str(image.dtype),
        "channels": [{key: getattr(c, key) for key in ("name", "long_name", "scale", "unit")} for c in spec.channels],
        "classes": list(spec.classes),
        "variables": [
            {"name": v.name, "long_name": v.long_name, "units": v.units, "dtype": str(store.array(v.name).dtype)}
            for v in spec.variables
        ],
        "splits": _splits(store),
        **{key: attributes[key] for key in ("split_scheme", "seed")},
        "selection": attributes.get("selection"),
        "bytes_stored": store.stored_bytes,
        "bytes_of_images": image.nbytes,
        "samples_per_chunk": image.chunks[0],
        "samples_per_shard": (image.shards or image.chunks)[0],
        "reader": {"kind": reader, "description": READERS[reader]},
        "sources": attributes["sources"],
        "content_digest": store.digest,
        **{key: attributes.get(key) for key in ("versions", "history")},
        "statistics": {"images": image_rows(statistics), "variables": variable_rows(statistics)},
        "shuffling": _shuffling(store) if quality else None,
        "reference": compare_published(attributes["dataset"], statistics) if reference else None,
    }
    finite: dict[str, Any] = _finite(document)
    return finite


def _shuffling(store: Store) -> dict[str, Any]:
    """Return what `ingest.info.shuffle_qualities` returns."""
    batch_size, qualities = shuffle_qualities(store)
    kinds = {
        kind: {"companions": quality.companions, "balance": quality.balance} for kind, quality in qualities.items()
    }
    return {"batch_size": batch_size, "kinds": kinds}


def _splits(store: Store) -> dict[str, Any]:
    """Return range, number of samples, and samples and weights of each class, by split."""
    return {
        split: {
            "start": start,
            "stop": stop,
            "samples": stop - start,
            "samples_by_class": samples_by_class(store, start, stop),
            "weight_by_class": weight_by_class(store, start, stop),
        }
        for split, (start, stop) in store.attributes["split_ranges"].items()
    }


def _finite(value: Any) -> Any:
    """Return a nested value with None in place of numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
