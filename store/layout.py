"""How images are stored: one sample per Blosc block, blocks in chunks, chunks in shards; and where the shards are.

Since each sample is a Blosc block, it can be decoded on its own, while other Zarr readers see ordinary chunks.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from store.errors import ConfigError

CHUNK_BYTES = 512 * 1024
SHARD_BYTES = 32 * 1024 * 1024  # as stored: a billion showers of 600 bytes are 18,000 shards
COMPRESSOR = "lz4"
LEVEL = 5
MIN_BLOCK_BYTES = 128  # smallest block that Blosc writes; it reads smaller ones
MISSING_CHUNK = 2**64 - 1  # offset and size, in the index of a shard, of a chunk that is not stored


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sizes of the chunks and shards of an image array along ``sample``.

    Attributes
    ----------
    sample_bytes
        Size of one decoded sample, in bytes; also the Blosc block size.
    chunk
        Samples per chunk.
    shard
        Samples per shard, a multiple of `chunk`; one chunk as long as the stored size of the samples is unknown.

    Raises
    ------
    ConfigError
        If `shard` is not a multiple of `chunk`.
    """

    sample_bytes: int
    chunk: int
    shard: int

    def __post_init__(self) -> None:
        if self.chunk < 1 or self.shard < 1 or self.shard % self.chunk:
            raise ConfigError(f"shard={self.shard} is not a multiple of chunk={self.chunk}")

    @classmethod
    def of(cls, sample_bytes: int) -> "Layout":
        """Return the layout for samples of this size: chunks of about 512 KiB, decoded, and one chunk per shard."""
        chunk = max(1, CHUNK_BYTES // sample_bytes)
        return cls(sample_bytes=sample_bytes, chunk=chunk, shard=chunk)

    def sized(self, samples: int, stored_bytes: int) -> "Layout":
        """Return the layout with shards of equal numbers of chunks, and of at most about 32 MiB as they are stored.

        Parameters
        ----------
        samples
            Number of samples in the store.
        stored_bytes
            Size of all of them, compressed.
        """
        chunks = -(-samples // self.chunk)
        shards = min(chunks, -(-stored_bytes // SHARD_BYTES))
        return replace(self, shard=self.chunk * -(-chunks // max(1, shards)))

    @property
    def typesize(self) -> int:
        """Element size for Blosc: the smallest with which it makes a block of each sample, or 4 if there is none."""
        return next((size for size in range(17, 256) if makes_blocks(size, self.sample_bytes)), 4)

    @property
    def codec(self) -> dict[str, Any]:
        """Arguments of ``numcodecs.Blosc`` that describe the chunks."""
        return {
            "cname": COMPRESSOR,
            "clevel": LEVEL,
            "shuffle": 0,
            "typesize": self.typesize,
            "blocksize": self.sample_bytes,
        }

    def shard_count(self, samples: int) -> int:
        """Return the number of shards for a number of samples."""
        return -(-samples // self.shard)


def makes_blocks(typesize: int, sample_bytes: int) -> bool:
    """Return whether Blosc itself, told that elements and blocks have these sizes, makes a block of each sample.

    With other sizes, it splits blocks or changes their size when it compresses, and without a shuffle filter the
    element size has no other effect. Any Blosc decoder reads blocks of any size.
    """
    return sample_bytes >= MIN_BLOCK_BYTES and 16 < typesize < 256 and sample_bytes % typesize == 0


def shard_path(store: Path, shard: int) -> Path:
    """Return the file of a shard of the array ``image``."""
    return store / "image" / f"c.{shard}.0.0.0"
