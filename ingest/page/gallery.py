"""Single images of each split and class, in sparse form, which the page's script filters and draws."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from ingest.page.pictures import MOST_CHANNELS, encode, quantity
from ingest.page.scales import scale_of_images
from ingest.page.stretch import Stretch, Total
from store.arrays import Float32Array, Int64Array, UInt8Array
from store.average_images import block_size, condense
from store.sparse import SparseImages

MOST_IMAGES = 300
"""Images over all splits and classes, but at least one of each."""

MOST_HITS = 300_000
"""Values that are not zero over all images, which take six or eight bytes each; each class has one image at least."""

VISIBLE_CELLS = 128
"""Cells along a side of an image in a page; larger images are drawn in blocks of cells."""


def gallery(
    stretches: Sequence[Stretch], statistics: xr.Dataset, total: Total, sources: Sequence[str]
) -> dict[str, Any]:
    """Return images of each split and class, with what is known about each.

    Parameters
    ----------
    stretches
        A stretch of each split that has samples.
    statistics
        Statistics of the store.
    total
        What the energy of an image is.
    sources
        Names of the source files.

    Returns
    -------
    dict
        ``images``: for each its ``sample``, ``split``, ``label``, ``energy``, ``hits``, ``source``, ``row`` and
        ``variables``. ``offset``: where the hits of each image begin. ``position`` and ``value`` of all hits in base64,
        as in `store.sparse.SparseImages`, and the number of ``bytes`` of a position. ``shape`` of an image, whose cells
        are blocks of ``block`` x ``block`` cells of the store. ``scales`` of the channels.
    """
    spec = stretches[0].store.spec
    channels, block = spec.channels[:MOST_CHANNELS], block_size(spec.image_shape, VISIBLE_CELLS)
    quota = _quota(statistics, len(stretches), block)
    parts, described, ranks = list[Float32Array](), list[dict[str, Any]](), list[int]()
    for split, stretch in enumerate(stretches):
        rows = first_of_each(stretch.label, quota, len(spec.classes))
        images = stretch.read(rows)
        energy, hits = total.measure(images)
        parts.append(np.moveaxis(condense(np.moveaxis(images[..., : len(channels)], -1, 1), block), 1, -1))
        columns = {name: stretch.column(name)[rows].tolist() for name in ("label", "source_file", "source_row")}
        variables = [stretch.column(variable.name)[rows].tolist() for variable in spec.variables]
        ranks += range(rows.size)
        described += [
            {
                "sample": stretch.start + int(row),
                "split": split,
                "label": columns["label"][k],
                "energy": float(f"{energy[k]:.6g}"),
                "hits": int(hits[k]),
                "source": sources[columns["source_file"][k]],
                "row": columns["source_row"][k],
                "variables": [f"{v[k]:.6g}" if isinstance(v[k], float) else str(v[k]) for v in variables],
            }
            for k, row in enumerate(rows)
        ]
    order = sorted(range(len(described)), key=lambda k: (ranks[k], k))  # splits alternate
    sparse = SparseImages.of(np.concatenate(parts)[order])
    scales = [scale_of_images(statistics, k, channel.scale, quantity(channel)) for k, channel in enumerate(channels)]
    return {
        "images": [described[k] for k in order],
        "splits": [stretch.split for stretch in stretches],
        "shape": list(sparse.shape),
        "block": block,
        "offset": sparse.offset.tolist(),
        "bytes": sparse.position.itemsize,
        "position": encode(sparse.position),
        "value": encode(sparse.value),
        "scales": [scale.to_dict() for scale in scales],
    }


def _quota(statistics: xr.Dataset, splits: int, block: int) -> int:
    """Return how many images of each class and split there are."""
    shares = np.minimum(statistics["nonzero_share"].transpose("class", "channel").values * block**2, 1)
    cells = statistics.sizes["ieta"] * statistics.sizes["iphi"] / block**2
    hits = shares[:, :MOST_CHANNELS].sum(axis=1).mean() * cells
    return max(1, min(MOST_IMAGES, int(MOST_HITS / max(hits, 1))) // (splits * len(shares)))


def first_of_each(label: UInt8Array, quota: int, classes: int) -> Int64Array:
    """Return the positions of the first `quota` samples of each class, in ascending order."""
    chosen = [np.flatnonzero(label == code)[:quota] for code in range(classes)]
    return np.sort(np.concatenate(chosen))
