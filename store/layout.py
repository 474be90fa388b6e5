"""How images lie in a store: samples as Blosc blocks, blocks in chunks, chunks in shards; and where the shards are.

One Blosc block holds one sample, so a sample can be decoded alone although any Zarr reader sees ordinary chunks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.errors import ConfigError

CHUNK_BYTES = 512 * 1024
SHARD_BYTES = 32 * 1024 * 1024
COMPRESSOR = "lz4"
LEVEL = 5
LEAST_BYTES = 128  # Blosc copies anything smaller instead of compressing it


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sizes of an image array along ``sample``.

    Attributes
    ----------
    sample_bytes
        Size of one decoded sample, in bytes; also the Blosc block size.
    chunk
        Samples in an inner chunk.
    shard
        Samples in a shard, a multiple of `chunk`.

    Raises
    ------
    ConfigError
        If samples of that size cannot be Blosc blocks of their own, or chunks do not fill a shard.
    """

    sample_bytes: int
    chunk: int
    shard: int

    def __post_init__(self) -> None:
        if self.sample_bytes < LEAST_BYTES or not self.typesize:
            raise ConfigError(
                f"sample_bytes={self.sample_bytes}: a sample must have at least {LEAST_BYTES} bytes "
                "and a divisor from 17 to 255 to be a Blosc block of its own"
            )
        if self.chunk < 1 or self.shard < 1 or self.shard % self.chunk:
            raise ConfigError(f"shard={self.shard} is not a multiple of chunk={self.chunk}")

    @classmethod
    def of(cls, sample_bytes: int) -> "Layout":
        """Return the layout for samples of that size: inner chunks of about 512 KiB, shards of about 32 MiB."""
        chunk = max(1, CHUNK_BYTES // sample_bytes)
        return cls(sample_bytes=sample_bytes, chunk=chunk, shard=chunk * max(1, SHARD_BYTES // (chunk * sample_bytes)))

    @property
    def typesize(self) -> int:
        """Blosc's element size: above 16, so that Blosc neither splits nor enlarges blocks, and a divisor of a sample.

        Without a shuffle filter it has no other effect. 0 if there is none.
        """
        return next((size for size in range(17, 256) if self.sample_bytes % size == 0), 0)

    @property
    def codec(self) -> dict[str, Any]:
        """Arguments of the Blosc codec, in numcodecs' names."""
        return {
            "cname": COMPRESSOR,
            "clevel": LEVEL,
            "shuffle": 0,
            "typesize": self.typesize,
            "blocksize": self.sample_bytes,
        }

    def shard_count(self, samples: int) -> int:
        """Return how many shards hold that many samples."""
        return -(-samples // self.shard)


def shard_path(store: Path, shard: int) -> Path:
    """Return the file of a shard of the four-dimensional array ``image``."""
    return store / "image" / f"c.{shard}.0.0.0"
