"""Reading images by position: single blocks from the shards that `ingest` writes, zarr-python for any other array."""

import os
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from store.arrays import Float32Array, Int64Array
from store.digests import DIGESTS_FILE
from store.errors import ConfigError, CorruptStoreError
from store.layout import Layout, makes_blocks
from store.readers.block_reader import BlockReader, ImageArray
from store.readers.mapped_reader import MappedReader
from store.readers.mounts import on_network
from store.readers.pread_reader import PreadReader
from store.readers.shard_files import ShardFiles, file_identity

READER_VARIABLE = "CALOSTREAM_READER"
READERS = {"map": MappedReader, "pread": PreadReader}
"""How blocks can be read, by the value of the environment variable that chooses it."""

_shared_readers: WeakValueDictionary[object, BlockReader] = WeakValueDictionary()


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


def open_reader(image: ImageArray, shards: ShardFiles) -> SampleReader:
    """Return the fastest reader for an array of images.

    Streams of one process that read the same store share one `BlockReader`. A store that was replaced, or in which a
    shard was, gets a new reader.

    Parameters
    ----------
    image
        The array ``image`` of a store.
    shards
        Its shards.

    Raises
    ------
    CorruptStoreError
        If one of few shards is shorter than its index, or the index is not what was written.
    """
    reader_class = choose_reader(image, shards)
    if not issubclass(reader_class, BlockReader):
        return reader_class(image)
    names = ["zarr.json", DIGESTS_FILE.rpartition("/")[2], *([] if shards.most_open else ["."])]
    key = (reader_class, *(file_identity(shards.folder / name) for name in names))
    reader = _shared_readers.get(key)
    if reader is None:
        reader = _shared_readers[key] = reader_class(image, shards)
    return reader


def choose_reader(image: ImageArray, shards: ShardFiles) -> "type[BlockReader] | type[ZarrReader]":
    """Return the class of the reader for an array of images; the attribute ``kind`` of the class describes it.

    Shards are mapped into memory, which is fastest. On a network file system, where another computer may shorten them
    meanwhile, they are read with ``pread``. The environment variable ``CALOSTREAM_READER`` overrides this with ``map``
    or ``pread``.

    Raises
    ------
    ConfigError
        If the environment variable has another value.
    """
    chosen = os.environ.get(READER_VARIABLE, "")
    if chosen not in ("", *READERS):
        raise ConfigError(f"{READER_VARIABLE}={chosen!r}: unknown reader; known: {', '.join(READERS)}")
    if not has_sample_blocks(image):
        return ZarrReader
    return READERS[chosen or ("pread" if on_network(shards.folder) else "map")]


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
        and blosc["blocksize"] == sample_bytes
        and (makes_blocks(blosc["typesize"], sample_bytes) or blosc["typesize"] == Layout.of(sample_bytes).typesize)
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
