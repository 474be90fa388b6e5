"""Damage to the bytes of HDF5 files of showers."""

from pathlib import Path

import h5py
import numpy as np

from tests.fuzz.damage import Damage, Level, changed_range, damage_bytes

VERSIONED = b"\x89HDF\r\n\x1a\n\x03"
"""First bytes of a file whose metadata have checksums; files of the older format have none."""


def hdf5_bytes(random: np.random.Generator, path: Path) -> Damage:
    """Damage the bytes; readers must notice damage to bytes that have a checksum in HDF5."""
    good = path.read_bytes()
    protected = [] if good.startswith(VERSIONED) else _chunk_ranges(path)
    bad = damage_bytes(random, good)
    path.write_bytes(bad)
    first, last = changed_range(good, bad)
    noticed = good.startswith(VERSIONED) or any(start <= first and last <= stop for start, stop in protected)
    return Damage(
        f"bytes {first} to {last} of {len(good)}, now {len(bad)}", Level.READING if noticed else Level.NOBODY, path.name
    )


def _chunk_ranges(path: Path) -> list[tuple[int, int]]:
    ranges = []
    with h5py.File(path) as file:
        for name in ("X", "y"):
            dataset = file[name]
            for number in range(dataset.id.get_num_chunks()):
                chunk = dataset.id.get_chunk_info(number)
                ranges.append((chunk.byte_offset, chunk.byte_offset + chunk.size))
    return ranges
