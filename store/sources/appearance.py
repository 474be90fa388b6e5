"""Whether the images of a source look as its data set describes them.

Images whose axes or channels were mixed up, as by ``reshape`` in place of ``transpose``, break no rule for values, but
nothing can be learned from them. A few hundred images are enough to see it.
"""

from contextlib import suppress

import numpy as np

from store.arrays import Float32Array
from store.datasets import DatasetSpec
from store.errors import SourceError
from store.sources.source import Source

LOOK_BYTES = 8 << 20  # images that are looked at in each of two places of a file
MOST_IMAGES = 250  # and no more than this many in each
FEWEST_IMAGES = 20  # fewer say nothing about what is usual
OUTSIDE = 3  # a value is far outside the published range beyond this many times its bounds
SMALL = 50  # values are too small if none reaches the published maximum divided by this
USUAL = 0.5  # share of images whose largest value is where it usually is; 0.97 to 1.0 in simulated images


def describe_oddities(source: Source) -> str:
    """Return a warning on one line if the images look unlike their description, or an empty string.

    It reads images at the beginning and near the end of the file. What cannot be read is passed over: that is an error
    as soon as all images are read.
    """
    spec = source.spec
    rows = min(MOST_IMAGES, max(1, LOOK_BYTES // spec.sample_bytes))
    last = max(0, source.rows - rows) // source.block * source.block
    with suppress(SourceError, OSError):
        starts = sorted({0, last})
        pieces = [piece for start in starts for piece in source.pieces(start, min(source.rows, start + rows))]
        images = np.concatenate(pieces)
        oddities = find_oddities(images, spec)
        if oddities:
            return (
                f"warning: {source.path}: {len(images)} images look unlike those of {spec.name}: "
                f"{'; '.join(oddities)}; were axes or channels mixed up, or is the scale another one?"
            )
    return ""


def find_oddities(images: Float32Array, spec: DatasetSpec) -> list[str]:
    """Return what is unlike the description of a data set, with numbers, as phrases.

    Parameters
    ----------
    images
        float32 (n, ieta, iphi, channel).
    spec
        The data set; channels without published bounds are not compared with any.
    """
    oddities = []
    for channel, values in zip(spec.channels, np.moveaxis(images, -1, 0), strict=True):
        if channel.published is None:
            continue
        least, most = channel.published
        low, high = float(values.min()) + 0.0, float(values.max()) + 0.0  # no negative zero
        small = len(images) >= FEWEST_IMAGES and max(-low, high) < most / SMALL
        if low < OUTSIDE * least or high > OUTSIDE * most or small:
            oddities.append(f"{channel.name} is {low:.4g} to {high:.4g}, published {least:.4g} to {most:.4g}")
    if spec.core is not None:
        share, count = _peak_share(images[..., 0], spec.seed, spec.core)
        if count >= FEWEST_IMAGES and share < USUAL:
            place = f"within {spec.core} cells of" if spec.core else "in"
            oddities.append(f"the largest {spec.channels[0].name} is {place} the cell {spec.seed} in only {share:.0%}")
    return oddities


def _peak_share(values: Float32Array, seed: tuple[int, int], distance: int) -> tuple[float, int]:
    """Return the share of images whose largest value is near the seed, and the number of images that have values."""
    flat = values.reshape(len(values), -1)
    peaks = flat.argmax(axis=1)[flat.any(axis=1)]
    ieta, iphi = np.unravel_index(peaks, values.shape[1:])
    near = np.maximum(abs(ieta - seed[0]), abs(iphi - seed[1])) <= distance
    return float(near.mean()) if near.size else 0.0, near.size
