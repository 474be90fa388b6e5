"""Per-sample columns as files: each one uncompressed file, which is mapped into memory instead of read.

Such a file is a shard whose chunks are not compressed and follow each other, so its first bytes are the values of the
column, and Zarr readers read any part of it.
"""

from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
import zarr

from store.arrays import Int64Array
from store.errors import CorruptStoreError
from store.files import replacing
from store.readers.mapping import MappedFile
from store.readers.shard_index import index_bytes, read_index

COLUMN_CHUNK = 1 << 18  # samples


def column_encoding(values: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the encoding with which xarray creates an array for `write_column`.

    The fill value is one that columns hardly have: other programs that write a column again leave out chunks of it, so
    that they would change the file.
    """
    chunk = min(COLUMN_CHUNK, values.size)
    kind = values.dtype.kind
    fill_value = np.nan if kind == "f" else np.iinfo(values.dtype).min if kind == "i" else np.iinfo(values.dtype).max
    return {
        "chunks": (chunk,),
        "shards": (chunk * -(-values.size // chunk),),
        "compressors": None,
        "fill_value": fill_value,
    }


def write_column(array: "zarr.Array[Any]", root: Path, values: npt.NDArray[Any]) -> None:
    """Write the values of a column.

    Parameters
    ----------
    array
        The array, created with `column_encoding`.
    root
        Folder of the store.
    values
        Numbers (sample,).

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = _file(array, root)
    path.parent.mkdir(exist_ok=True)
    index = _index_in_order(array)
    packed = index.astype("<u8").tobytes()
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(little.view(np.uint8).data)
        file.write(bytes(int(index[:, 1].sum()) - values.nbytes))  # the last chunk is filled up
        file.write(packed + google_crc32c.value(packed).to_bytes(4, "little"))


def map_column(array: "zarr.Array[Any]", root: Path) -> npt.NDArray[Any] | None:
    """Return the values of a column without reading them.

    Parameters
    ----------
    array
        An array with one value per sample.
    root
        Folder of the store.

    Returns
    -------
    ndarray or None
        Read-only array (sample,) over the mapped file; parts of it are read when they are used. None if the values are
        not stored as `write_column` does.

    Raises
    ------
    CorruptStoreError
        If the file does not have the size that it must have, or its index is not what was written.
    """
    if not _is_plain(array):
        return None
    path = _file(array, root)
    try:
        file = MappedFile(path)
    except FileNotFoundError:
        return None  # all values are the fill value
    except ValueError:
        raise CorruptStoreError(f"{path}: the shard is empty") from None
    content, expected = np.asarray(file), _index_in_order(array)
    index = read_index(path, file.size, content[-index_bytes(len(expected)) :], len(expected))
    if not np.array_equal(index, expected):
        return None
    return content[: array.shape[0] * array.dtype.itemsize].view(array.dtype)


def _file(array: "zarr.Array[Any]", root: Path) -> Path:
    """Return the file of a column that has only one."""
    return root / array.path / array.metadata.encode_chunk_key((0,))


def _index_in_order(array: "zarr.Array[Any]") -> Int64Array:
    """Return offset and size of each chunk, int64 (chunks, 2), if they are not compressed and follow each other."""
    assert array.shards is not None
    chunks, size = array.shards[0] // array.chunks[0], array.chunks[0] * array.dtype.itemsize
    return np.stack([np.arange(chunks) * size, np.full(chunks, size)], axis=1)


def _is_plain(array: "zarr.Array[Any]") -> bool:
    """Return whether a column is one shard of uncompressed chunks, in the byte order of this machine."""
    metadata: dict[str, Any] = array.metadata.to_dict()
    codecs = metadata.get("codecs", ())
    one_shard = array.ndim == 1 and array.shards is not None and 0 < array.shape[0] <= array.shards[0]
    if not one_shard or len(codecs) != 1 or array.dtype.kind not in "iufb" or not array.dtype.isnative:
        return False
    sharding = codecs[0]["configuration"]
    names = [codec["name"] for codec in sharding["codecs"]]
    index_names = [codec["name"] for codec in sharding["index_codecs"]]
    if names != ["bytes"] or index_names != ["bytes", "crc32c"] or sharding["index_location"] != "end":
        return False
    stored = [sharding["codecs"][0], sharding["index_codecs"][0]]
    return all((codec.get("configuration") or {}).get("endian", "little") == "little" for codec in stored)
