"""Reading images by position: single blocks from the shards that `ingest` writes, zarr-python for any other array."""

import os
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

import google_crc32c
import numpy as np
import zarr

from store.arrays import Float32Array, Int64Array
from store.compiled.decode import WRONG_BLOCK, WRONG_HEADER, WRONG_OFFSET, decode_samples, lz4_address, public_address
from store.errors import CorruptStoreError
from store.layout import MIN_SAMPLE_BYTES, MISSING_CHUNK
from store.mapping import MappedFile
from store.page_cache import fits

ImageArray = zarr.Array[Any]
DEFECTS = {
    WRONG_HEADER: "its Blosc header does not belong to this array",
    WRONG_OFFSET: "its block table points outside the chunk",
    WRONG_BLOCK: "a block does not decode to a sample",
}

_shared_readers: WeakValueDictionary[object, "BlockReader"] = WeakValueDictionary()


class SampleReader(Protocol):
    """Reads images by position; safe to use from several threads at once.

    Attributes
    ----------
    kind
        How it reads, as a short text for display.
    """

    kind: str

    def read(self, samples: Int64Array, out: Float32Array) -> None:
        """Fill an array with images.

        Parameters
        ----------
        samples
            int64 (batch,), positions in the store, in any order; a position may be repeated.
        out
            float32 (batch, ieta, iphi, channel), C-contiguous, overwritten.

        Raises
        ------
        CorruptStoreError
            If a shard is not what was written; the message names its file.
        ValueError
            If `out` has another size or type, or a position is outside the store.
        """


def open_reader(image: ImageArray, root: Path) -> SampleReader:
    """Return the fastest reader for an array of images.

    Streams of one process that read the same files share one `BlockReader`. A store that was replaced has other files
    and gets a new reader.

    Parameters
    ----------
    image
        The array ``image`` of a store.
    root
        The store's folder.

    Raises
    ------
    CorruptStoreError
        If a shard is shorter than its index, or the index is not what was written.
    """
    if not has_sample_blocks(image):
        return ZarrReader(image)
    key = tuple(map(_file_identity, (root / image.path / "zarr.json", *shard_files(image, root))))
    reader = _shared_readers.get(key)
    if reader is None:
        reader = _shared_readers[key] = BlockReader(image, root)
    return reader


def shard_files(image: ImageArray, root: Path) -> list[Path]:
    """Return the paths of all shards of a sharded array, in order; shards of zeros only may be missing on disk."""
    assert image.shards is not None
    count = -(-image.shape[0] // image.shards[0])
    encode, zeros = image.metadata.encode_chunk_key, (0,) * (image.ndim - 1)
    return [root / image.path / encode((shard, *zeros)) for shard in range(count)]


def _file_identity(path: Path) -> tuple[str, int, int, int, int] | None:
    """Return values that tell a file from one that replaces it; the inode of a file that is mapped is not reused."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return os.fspath(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def has_sample_blocks(image: ImageArray) -> bool:
    """Return whether an array is sharded float32, each sample a Blosc LZ4 block, with 0 as fill value."""
    metadata: dict[str, Any] = image.metadata.to_dict()
    codecs = metadata.get("codecs", ())
    if image.dtype != np.dtype("<f4") or image.fill_value != 0 or len(codecs) != 1 or image.shards is None:
        return False
    if (
        codecs[0]["name"] != "sharding_indexed"
        or image.chunks[1:] != image.shape[1:]
        or image.shards[1:] != image.shape[1:]
    ):
        return False
    sharding = codecs[0]["configuration"]
    names = [codec["name"] for codec in sharding["codecs"]]
    index_names = [codec["name"] for codec in sharding["index_codecs"]]
    if names != ["bytes", "blosc"] or index_names != ["bytes", "crc32c"] or sharding["index_location"] != "end":
        return False
    plain = (sharding["codecs"][0], sharding["index_codecs"][0])
    little = all(codec["configuration"]["endian"] == "little" for codec in plain)
    blosc = sharding["codecs"][1]["configuration"]
    sample_bytes = 4 * int(np.prod(image.shape[1:]))
    return bool(
        little
        and blosc["cname"] in ("lz4", "lz4hc")
        and blosc["shuffle"] == "noshuffle"
        and blosc["blocksize"] == sample_bytes >= MIN_SAMPLE_BYTES
        and 16 < blosc["typesize"] < 256
        and sample_bytes % blosc["typesize"] == 0  # otherwise Blosc changes the block size
    )


class ZarrReader:
    """Reads images through zarr-python: any codec, any chunking, any location.

    Parameters
    ----------
    image
        The array ``image`` of a store.
    """

    kind = "zarr"

    def __init__(self, image: ImageArray) -> None:
        self._image = image

    def read(self, samples: Int64Array, out: Float32Array) -> None:
        """See `SampleReader.read`."""
        if not samples.size:
            return
        unique, inverse = np.unique(samples, return_inverse=True)
        try:
            images = self._read(unique)
        except Exception as error:
            raise self._name_file(unique, error) from error
        np.take(images, inverse, axis=0, out=out, mode="clip")

    def _read(self, ascending: Int64Array) -> Float32Array:
        if ascending[-1] - ascending[0] + 1 == ascending.size:
            return np.asarray(self._image[int(ascending[0]) : int(ascending[-1]) + 1])
        return np.asarray(self._image.oindex[ascending])

    def _name_file(self, ascending: Int64Array, error: Exception) -> CorruptStoreError:
        """Return an error that names the first file that cannot be read: a shard, or a chunk if there are no shards."""
        per_file = (self._image.shards or self._image.chunks)[0]
        for samples in np.split(ascending, np.flatnonzero(np.diff(ascending // per_file)) + 1):
            try:
                self._read(samples)
            except Exception as reason:
                file_index = (int(samples[0]) // per_file, *[0] * (self._image.ndim - 1))
                key = self._image.metadata.encode_chunk_key(file_index)
                return CorruptStoreError(
                    f"{self._image.store_path}/{key}: samples {samples[0]} to {samples[-1]} cannot be read ({reason})"
                )
        return CorruptStoreError(
            f"{self._image.store_path}: samples {ascending[0]} to {ascending[-1]} cannot be read ({error})"
        )


class BlockReader:
    """Reads single images from memory-mapped shards, decoding each directly into its row of the batch.

    If all shards fit into the page cache, the system is asked to read them ahead, in order: reading single samples in
    random order from a cold disk is hundreds of times slower.

    Parameters
    ----------
    image
        The array ``image`` of a store, for which `has_sample_blocks` holds.
    root
        The store's folder.

    Raises
    ------
    CorruptStoreError
        If a shard is shorter than its index, or the index is not what was written.
    """

    def __init__(self, image: ImageArray, root: Path) -> None:
        assert image.shards is not None
        lz4 = lz4_address()
        self.kind = "blocks" if lz4 else "blocks, decoded one by one through numcodecs"
        self._lz4 = lz4 or public_address()
        self._sample_bytes = 4 * int(np.prod(image.shape[1:]))
        self._chunk = image.chunks[0]
        self._chunks_per_shard = image.shards[0] // image.chunks[0]
        self._shards = shard_files(image, root)
        self._maps: list[MappedFile] = []
        self._address = np.zeros(len(self._shards) * self._chunks_per_shard, np.int64)  # of each chunk; 0 if missing
        self._size = np.zeros_like(self._address)
        self._fits = fits(sum(path.stat().st_size for path in self._shards if path.exists()))
        for shard, path in enumerate(self._shards):
            self._map_shard(path, slice(shard * self._chunks_per_shard, (shard + 1) * self._chunks_per_shard))

    def _map_shard(self, path: Path, chunks: slice) -> None:
        """Map a shard and record where its chunks are; a shard that is missing on disk is all zeros."""
        try:
            shard = MappedFile(path)
        except FileNotFoundError:
            return
        except ValueError:
            raise CorruptStoreError(f"{path}: the shard is empty") from None
        if self._fits:
            shard.read_ahead()
        data = np.asarray(shard)
        index_bytes = 16 * self._chunks_per_shard
        if data.size < index_bytes + 4:
            raise CorruptStoreError(f"{path}: {data.size} bytes are too few for the shard's index")
        index = data[-index_bytes - 4 : -4].tobytes()
        if google_crc32c.value(index) != int.from_bytes(data[-4:].tobytes(), "little"):
            raise CorruptStoreError(f"{path}: the shard's index does not match its checksum")
        offset, size = np.frombuffer(index, "<u8").reshape(-1, 2).T
        present = offset != np.uint64(MISSING_CHUNK)
        end = data.size - index_bytes - 4
        if np.any(offset[present] > end) or np.any(size[present] > end - offset[present]):
            raise CorruptStoreError(f"{path}: the shard's index points outside the shard")
        self._maps.append(shard)
        self._address[chunks] = np.where(present, shard.address + offset.astype(np.int64), 0)
        self._size[chunks] = np.where(present, size, 0).astype(np.int64)

    def read(self, samples: Int64Array, out: Float32Array) -> None:
        """See `SampleReader.read`."""
        if out.nbytes != samples.size * self._sample_bytes or not out.flags.c_contiguous or out.dtype != np.float32:
            raise ValueError(
                f"out must be C-contiguous float32 for {samples.size} samples, got {out.dtype} {out.shape}"
            )
        if samples.size and not 0 <= samples.min() <= samples.max() < self._address.size * self._chunk:
            raise ValueError(f"samples must be in [0, {self._address.size * self._chunk})")
        failed, defect = decode_samples(
            self._lz4, self._address, self._size, self._chunk, self._sample_bytes, samples, out.ctypes.data
        )
        if defect:
            sample = int(samples[failed])
            path = self._shards[sample // self._chunk // self._chunks_per_shard]
            raise CorruptStoreError(f"{path}: sample {sample} is corrupt: {DEFECTS[defect]}")
