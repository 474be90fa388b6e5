"""Reading samples by position: block by block from the shards that `ingest` writes, through Zarr from anything else."""

import mmap
from pathlib import Path
from typing import Any, Protocol

import google_crc32c
import numpy as np
import numpy.typing as npt
import zarr

from store.compiled.decode import decode_samples, lz4_address, public_address
from store.errors import CorruptStoreError
from store.layout import LEAST_BYTES
from store.page_cache import fits

Image = zarr.Array[Any]
MISSING = np.uint64(2**64 - 1)
DEFECTS = {
    1: "its Blosc header does not belong to this array",
    2: "its block table points outside the chunk",
    3: "a block does not decode to a sample",
}


class SampleReader(Protocol):
    """Gives samples by position; safe to use from several threads at once."""

    kind: str

    def read(self, samples: npt.NDArray[np.int64], out: npt.NDArray[np.float32]) -> None:
        """Fill `out`, float32 (b, ieta, iphi, channel), C-contiguous, with the images at `samples`, int64 (b,).

        Raises
        ------
        CorruptStoreError
            If the store's bytes are not what was written.
        """


def open_reader(image: Image, root: Path) -> SampleReader:
    """Return the fastest reader for the array ``image`` of the store at `root`."""
    return BlockReader(image, root) if has_sample_blocks(image) else ZarrReader(image)


def has_sample_blocks(image: Image) -> bool:
    """Tell whether an array is sharded float32 with one sample a Blosc LZ4 block, zeros standing for missing chunks."""
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
        and blosc["blocksize"] == sample_bytes >= LEAST_BYTES
        and 16 < blosc["typesize"] < 256
        and sample_bytes % blosc["typesize"] == 0  # else Blosc cuts its blocks elsewhere
    )


class ZarrReader:
    """Reads through zarr-python: any codec, any chunking, any location."""

    kind = "zarr"

    def __init__(self, image: Image) -> None:
        self._image = image

    def read(self, samples: npt.NDArray[np.int64], out: npt.NDArray[np.float32]) -> None:
        """See `SampleReader.read`."""
        if not samples.size:
            return
        unique, inverse = np.unique(samples, return_inverse=True)
        try:
            images = self._read(unique)
        except Exception as error:
            raise self._name_file(unique, error) from error
        np.take(images, inverse, axis=0, out=out, mode="clip")

    def _read(self, ascending: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        if ascending[-1] - ascending[0] + 1 == ascending.size:
            return np.asarray(self._image[int(ascending[0]) : int(ascending[-1]) + 1])
        return np.asarray(self._image.oindex[ascending])

    def _name_file(self, ascending: npt.NDArray[np.int64], error: Exception) -> CorruptStoreError:
        """Return an error that names the shard, or the chunk if there are none, in which the first bad sample is."""
        per_file = (self._image.shards or self._image.chunks)[0]
        for samples in np.split(ascending, np.flatnonzero(np.diff(ascending // per_file)) + 1):
            try:
                self._read(samples)
            except Exception as found:
                place = (int(samples[0]) // per_file, *[0] * (self._image.ndim - 1))
                key = self._image.metadata.encode_chunk_key(place)
                return CorruptStoreError(
                    f"{self._image.store_path}/{key}: samples {samples[0]} to {samples[-1]} cannot be read ({found})"
                )
        return CorruptStoreError(
            f"{self._image.store_path}: samples {ascending[0]} to {ascending[-1]} cannot be read ({error})"
        )


class BlockReader:
    """Reads single samples out of memory-mapped shards, decoding each straight into its row of the batch.

    If the system can keep all shards in memory, it is asked to read them at once, in order: a cold disk gives single
    samples in random order hundreds of times more slowly.

    Parameters
    ----------
    image
        The array; `has_sample_blocks` holds for it.
    root
        The store's folder.

    Raises
    ------
    CorruptStoreError
        If a shard is shorter than its index, or the index is not what was written.
    """

    def __init__(self, image: Image, root: Path) -> None:
        assert image.shards is not None
        lz4 = lz4_address()
        self.kind = "blocks" if lz4 else "blocks, decoded one by one through numcodecs"
        self._lz4 = lz4 or public_address()
        self._sample_bytes = 4 * int(np.prod(image.shape[1:]))
        self._chunk = image.chunks[0]
        self._per_shard = image.shards[0] // image.chunks[0]
        rest = (0,) * (image.ndim - 1)
        self._shards = [
            root / image.path / image.metadata.encode_chunk_key((shard, *rest))
            for shard in range(-(-image.shape[0] // image.shards[0]))
        ]
        self._maps: list[npt.NDArray[np.uint8]] = []
        self._address = np.zeros(len(self._shards) * self._per_shard, np.int64)
        self._size = np.zeros_like(self._address)
        self._ahead = fits(sum(path.stat().st_size for path in self._shards if path.exists()))
        for shard, path in enumerate(self._shards):
            self._open(path, slice(shard * self._per_shard, (shard + 1) * self._per_shard))

    def _open(self, path: Path, chunks: slice) -> None:
        """Map a shard and note where its chunks are; a shard that is not there is all zeros."""
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            return
        except ValueError:
            raise CorruptStoreError(f"{path}: the shard is empty") from None
        if self._ahead:
            mapped.madvise(mmap.MADV_WILLNEED)
        data = np.frombuffer(mapped, np.uint8)
        index_bytes = 16 * self._per_shard
        if data.size < index_bytes + 4:
            raise CorruptStoreError(f"{path}: {data.size} bytes are too few for the shard's index")
        index = data[-index_bytes - 4 : -4].tobytes()
        if google_crc32c.value(index) != int.from_bytes(data[-4:].tobytes(), "little"):
            raise CorruptStoreError(f"{path}: the shard's index does not match its checksum")
        offset, size = np.frombuffer(index, "<u8").reshape(-1, 2).T
        present = offset != MISSING
        end = data.size - index_bytes - 4
        if np.any(offset[present] > end) or np.any(size[present] > end - offset[present]):
            raise CorruptStoreError(f"{path}: the shard's index points outside the shard")
        self._maps.append(data)
        self._address[chunks] = np.where(present, data.ctypes.data + offset.astype(np.int64), 0)
        self._size[chunks] = np.where(present, size, 0).astype(np.int64)

    def read(self, samples: npt.NDArray[np.int64], out: npt.NDArray[np.float32]) -> None:
        """See `SampleReader.read`."""
        if out.nbytes != samples.size * self._sample_bytes or not out.flags.c_contiguous or out.dtype != np.float32:
            raise ValueError(
                f"out must be C-contiguous float32 for {samples.size} samples, got {out.dtype} {out.shape}"
            )
        if samples.size and not 0 <= samples.min() <= samples.max() < self._address.size * self._chunk:
            raise ValueError(f"samples must be in [0, {self._address.size * self._chunk})")
        at, defect = decode_samples(
            self._lz4, self._address, self._size, self._chunk, self._sample_bytes, samples, out.ctypes.data
        )
        if defect:
            sample = int(samples[at])
            path = self._shards[sample // self._chunk // self._per_shard]
            raise CorruptStoreError(f"{path}: sample {sample} is corrupt: {DEFECTS[defect]}")
