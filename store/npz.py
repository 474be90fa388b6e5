"""Reading an ``.npz`` file of plain arrays: no file can run code, or take more memory than its bytes are worth.

`numpy.load` allocates what the header of an array promises before it looks at the data, and passes on whatever
``zipfile``, ``zlib``, ``lzma`` and ``tokenize`` raise for damaged bytes. Here, every size is held against the size of
the file first, and whatever is wrong ends in a ValueError.
"""

import ast
import math
import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"\x93NUMPY"
HEADER_BYTES = 1 << 16  # largest header that is read; numpy's own limit is 10,000
BLOCK = 1 << 20  # bytes read at once
LARGEST_RATIO = 1032  # deflate cannot compress any further
HARMLESS_RATIO, HARMLESS_BYTES = 100, 1 << 28  # arrays that exceed both are a trap, scores compress much less
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HARMLESS_FLAGS = 0b1000_0000_1110  # how well it was deflated, sizes after the data, UTF-8; others mean encryption
TYPE = re.compile(r"[<>|](?:[biufc][1-9]\d?|[US][1-9]\d{0,8})")

Array = npt.NDArray[Any]


def read_npz(path: Path, names: Collection[str] | None = None, optional: Collection[str] = ()) -> dict[str, Array]:
    """Read the arrays of an ``.npz`` file, which must be booleans, numbers or text.

    Parameters
    ----------
    path
        The file.
    names
        Names of the arrays to read, all of which the file must have; None reads every array.
    optional
        Names of further arrays to read, if the file has them.

    Returns
    -------
    dict
        The arrays by name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read or holds something else; the message is the reason, without the path.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = _members(archive, path.stat().st_size)
            wanted = members.keys() if names is None else [*names, *(members.keys() & set(optional))]
            missing = [name for name in wanted if name not in members]
            if missing:
                raise ValueError(f"it lacks {', '.join(missing)}")
            return {name: _read_member(archive, name, members[name]) for name in wanted}
    except FileNotFoundError:
        raise
    except MemoryError:
        raise ValueError("its arrays are larger than the memory") from None
    except Exception as error:  # there is no list of what zipfile, zlib and ast raise for damaged bytes
        raise ValueError(str(error) or type(error).__name__) from None


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members by the name of their array, after checking their sizes against that of the file."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(f"it has two arrays named {name!r}")
        if name == info.filename:
            raise ValueError(f"{name!r} is no array")
        if info.compress_type not in METHODS or info.flag_bits & ~HARMLESS_FLAGS:
            raise ValueError(f"{name!r} is encrypted or compressed by another method than deflate")
        ratio = 1 if info.compress_type == zipfile.ZIP_STORED else LARGEST_RATIO
        if info.file_size > ratio * info.compress_size:
            raise ValueError(f"{name!r} cannot have {info.file_size} bytes, it takes {info.compress_size} in the file")
        members[name] = info
    if sum(info.compress_size for info in members.values()) > size:
        raise ValueError(f"its arrays take more bytes than the file has, which is {size}")
    memory = sum(info.file_size for info in members.values())
    if memory > max(HARMLESS_BYTES, HARMLESS_RATIO * size):
        raise ValueError(f"its arrays would take {memory} bytes of memory, {memory // size} times those of the file")
    return members


def _read_member(archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as stream:
        magic = stream.read(8)
        if magic[:6] != MAGIC or magic[6] not in (1, 2, 3):
            raise ValueError(f"{name!r} is no array")
        width = 2 if magic[6] == 1 else 4
        length = int.from_bytes(stream.read(width), "little")
        if length > HEADER_BYTES:
            raise ValueError(f"{name!r} has a header of {length} bytes")
        dtype, shape, order = _parse_header(name, stream.read(length))
        size = info.file_size - 8 - width - length
        if math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"{name!r} should have shape {shape} and type {dtype}, but has {size} bytes")
        values = np.empty(size, np.uint8)
        for start in range(0, size, BLOCK):
            part = stream.read(min(BLOCK, size - start))
            values[start : start + len(part)] = np.frombuffer(part, np.uint8)
        if stream.read(1):
            raise ValueError(f"{name!r} has more bytes than its header says")
    return values.view(dtype).reshape(shape, order=order)


def _parse_header(name: str, header: bytes) -> tuple[np.dtype[Any], tuple[int, ...], Any]:
    """Return type, shape and order of an array from the dictionary in its header."""
    try:
        values = ast.literal_eval(header.decode())
        text, shape, fortran = values["descr"], values["shape"], values["fortran_order"]
    except Exception:
        raise ValueError(f"the header of {name!r} is damaged") from None
    if not isinstance(text, str) or not TYPE.fullmatch(text):
        raise ValueError(f"{name!r} has type {str(text)[:40]!r}, expected booleans, numbers or text")
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"the shape of {name!r} is {str(shape)[:40]!r}")
    return np.dtype(text), shape, "F" if fortran else "C"
