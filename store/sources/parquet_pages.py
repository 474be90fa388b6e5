"""The headers of the pages of a Parquet file, read without decompressing anything.

pyarrow allocates what the header of a page asks for before it looks at the page, and shows no headers. They are structs
of Thrift's compact protocol, ``PageHeader`` in https://github.com/apache/parquet-format.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from store.errors import SourceError

HEADER_BYTES = 512  # read at once; statistics may make a header longer
MOST_HEADER_BYTES = 16 << 20  # pyarrow's own limit
MOST_VARINT_BYTES = 10  # of 64 bits
MOST_NESTED = 16
DICTIONARY_PAGE = 2


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the header of a page promises.

    Attributes
    ----------
    dictionary
        Whether the page holds a dictionary instead of the column's own values.
    stored, decompressed
        Size of the page in the file, and after decompression, in bytes.
    values
        Number of its values, including missing ones.
    """

    dictionary: bool
    stored: int
    decompressed: int
    values: int


def read_pages(file: int, start: int, stop: int) -> Iterator[Page]:
    """Yield the pages of one column chunk, in order.

    Parameters
    ----------
    file
        Descriptor of the open file.
    start, stop
        Range of bytes of the column chunk.

    Raises
    ------
    SourceError
        If a header is damaged, or a page goes beyond the column chunk; the message does not name the file.
    """
    while start < stop:
        length, header = _read_header(file, start, stop)
        try:
            kind, decompressed, stored = header[1], header[2], header[3]
            counts = header.get(5) or header.get(7) or header.get(8) or {1: 0}  # of data, a dictionary, data version 2
            page = Page(dictionary=kind == DICTIONARY_PAGE, stored=stored, decompressed=decompressed, values=counts[1])
            sound = all(0 <= number < 2**31 for number in (stored, decompressed, page.values))
        except (KeyError, TypeError, AttributeError):
            sound = False
        if not sound:
            raise SourceError(f"the page at byte {start} has no valid header")
        if start + length + stored > stop:
            raise SourceError(
                f"the page at byte {start} promises {stored:,} bytes, but only {stop - start - length:,} remain in its "
                "column chunk"
            )
        start += length + stored
        yield page


def _read_header(file: int, start: int, stop: int) -> tuple[int, dict[int, Any]]:
    """Return the length of the header at `start`, and its fields by number."""
    size = HEADER_BYTES
    while True:
        data = os.pread(file, min(size, stop - start), start)
        try:
            return _read_struct(data, 0, 0)
        except (IndexError, ValueError) as error:
            if isinstance(error, ValueError) or len(data) < size or size >= MOST_HEADER_BYTES:
                raise SourceError(f"the page at byte {start} has no valid header") from None
        size *= 16


def _read_struct(data: bytes, position: int, depth: int) -> tuple[int, dict[int, Any]]:
    """Return the position after a struct, and its fields by number; lists and texts are skipped."""
    fields: dict[int, Any] = {}
    number = 0
    while data[position]:
        step, kind = data[position] >> 4, data[position] & 15
        position += 1
        if step:
            number += step
        else:
            position, number = _read_integer(data, position)
        position, fields[number] = _read_value(data, position, kind, depth)
    return position + 1, fields


def _read_value(data: bytes, position: int, kind: int, depth: int) -> tuple[int, Any]:
    """Return the position after a value, and the value if it is an integer or a struct."""
    if depth > MOST_NESTED:
        raise ValueError("nested too deeply")
    match kind:
        case 1 | 2:  # the type of a boolean field is its value
            return position, None
        case 3:
            return position + 1, None
        case 4 | 5 | 6:
            return _read_integer(data, position)
        case 7:
            return position + 8, None
        case 8:
            position, length = _read_varint(data, position)
            return position + length, None
        case 12:
            return _read_struct(data, position, depth + 1)
        case 9 | 10:
            return _skip_list(data, position, depth + 1), None
    raise ValueError(f"no page header has values of type {kind}")


def _skip_list(data: bytes, position: int, depth: int) -> int:
    """Return the position after a list."""
    size, kind = data[position] >> 4, data[position] & 15
    position += 1
    if size == 15:
        position, size = _read_varint(data, position)
    if size > len(data) - position:
        raise IndexError("more elements than bytes")
    for _ in range(size):
        position, _ = (position + 1, None) if kind in (1, 2) else _read_value(data, position, kind, depth)
    return position


def _read_integer(data: bytes, position: int) -> tuple[int, int]:
    position, value = _read_varint(data, position)
    return position, value >> 1 ^ -(value & 1)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 7 * MOST_VARINT_BYTES, 7):
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return position, value
    raise ValueError("an integer of more than 64 bits")
