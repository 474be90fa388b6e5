"""Page headers of Parquet files that promise something else than the pages hold."""

from pathlib import Path

import pyarrow.parquet as pq

INTEGER, STRUCT = 0x15, 12  # a field of Thrift's compact protocol, the next but one; the type of a field
NUMBERS = ("type", "decompressed", "stored", "values")
"""Numbers in a header that can be changed."""


def find_numbers(data: bytes, start: int) -> dict[str, tuple[int, int]]:
    """Return the range of bytes of each number in the page header at `start`."""
    numbers, position = {}, start
    for name in ("type", "decompressed", "stored", "checksum", "values"):
        if name == "checksum" and data[position] != INTEGER:
            continue
        if name == "values":
            assert data[position] & 15 == STRUCT
            position += 1
        assert data[position] == INTEGER
        begin = position = position + 1
        while data[position] & 128:
            position += 1
        position += 1
        numbers[name] = begin, position
    return numbers


def write_number(path: Path, column: str, name: str, value: int | None = None, group: int = 0) -> int:
    """Change a number in the header of a column's first page, by default to the largest that fits; return it."""
    metadata = pq.read_metadata(path).row_group(group)
    chunks = [metadata.column(leaf) for leaf in range(metadata.num_columns)]
    chunk = next(chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] == column)
    data = bytearray(path.read_bytes())
    first = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    begin, end = find_numbers(data, first)[name]
    value = 2 ** (7 * (end - begin) - 1) - 1 if value is None else value
    left = 2 * value
    for position in range(begin, end):
        data[position] = left & 127 | (128 if position < end - 1 else 0)
        left >>= 7
    assert not left, "the number does not fit"
    path.write_bytes(data)
    return value
