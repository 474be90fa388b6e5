"""Hypothesis strategies that draw images, layouts and batch plans."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from store.layout import Layout, makes_blocks
from store.plans.shuffles import SHUFFLES

# Of images of 1,028 bytes, Blosc itself makes no blocks; nor of those of less than 128 bytes.
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)) | st.just((1, 257, 1))
KINDS = ("zeros", "sparse", "constant", "noise", "bits")


@st.composite
def images(draw: st.DrawFn, count: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Draw float32 (count, *shape); each image is all zeros, mostly zeros, constant, noise, or arbitrary bits."""
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    out = np.zeros((count, *shape), np.float32)
    for k, kind in enumerate(random.choice(kinds, count)):
        out[k] = image(random, shape, str(kind))
    return out


def image(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> npt.NDArray[np.float32]:
    """Return one float32 image of one of the `KINDS`."""
    noise = random.standard_normal(shape).astype(np.float32)
    if kind == "zeros":
        return np.zeros(shape, np.float32)
    if kind == "sparse":
        return np.where(random.random(shape) < 0.06, noise, np.float32(0))
    if kind == "constant":
        return np.full(shape, noise.flat[0])
    if kind == "noise":
        return noise
    return random.integers(0, 2**32, shape, np.uint32).view(np.float32)  # including infinities, NaNs and -0.0


@st.composite
def layouts(draw: st.DrawFn, shape: tuple[int, ...]) -> Layout:
    """Draw a layout with a few samples per chunk and a few chunks per shard."""
    chunk = draw(st.integers(1, 7))
    return Layout(sample_bytes=4 * int(np.prod(shape)), chunk=chunk, shard=chunk * draw(st.integers(1, 4)))


@st.composite
def plan_arguments(draw: st.DrawFn, **fixed: Any) -> dict[str, Any]:
    """Draw arguments of a `BatchPlan`, without its rank; the range may begin and end anywhere in a shard."""
    start = draw(st.integers(0, 300))
    chunk = draw(st.integers(1, 40))
    arguments = {
        "start": start,
        "stop": start + draw(st.integers(1, 400)),
        "batch_size": draw(st.integers(1, 64)),
        "shuffle": draw(st.sampled_from(SHUFFLES)),
        "chunk": chunk,
        "shard": chunk * draw(st.integers(1, 8)),
        "window": draw(st.integers(1, 200)),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "epoch": draw(st.integers(0, 1000)),
        "world_size": draw(st.integers(1, 5)),
    }
    return {**arguments, **fixed}


@st.composite
def foreign_arrays(draw: st.DrawFn) -> dict[str, Any]:
    """Draw arguments of `tests.examples.write_foreign`: a zarr-python array with one Blosc block per sample."""
    shape = draw(
        SHAPES.filter(lambda shape: makes_blocks(Layout.of(4 * math.prod(shape)).typesize, 4 * math.prod(shape)))
    )
    sample_bytes = 4 * math.prod(shape)
    layout = draw(layouts(shape))
    count = draw(st.integers(1, 3 * layout.shard + 1))
    return {
        "images": draw(images(count, shape)),
        "layout": layout,
        "codec": {
            "cname": draw(st.sampled_from(["lz4", "lz4hc"])),
            "clevel": draw(st.sampled_from([0, 1, 5, 9])),
            "typesize": draw(st.sampled_from([size for size in range(17, 256) if sample_bytes % size == 0])),
        },
        "holes": draw(st.lists(st.integers(0, count - 1), max_size=4)),
        "separator": draw(st.sampled_from(["/", "."])),
    }
