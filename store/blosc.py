"""Blosc 1 chunks with one sample per block: splitting a chunk into blocks, joining blocks, decoding a block.

A chunk consists of a 16-byte header, the offset of each block as little-endian int32, and the blocks. A block consists
of its size as int32 and its data; if the size is that of a sample, the data are not compressed. Reference:
README_CHUNK_FORMAT of c-blosc 1.21.
"""

import functools
import struct
from collections.abc import Sequence

import numcodecs
import numpy as np
import numpy.typing as npt
from numcodecs.lz4 import compress

from store.layout import LEVEL, Layout, makes_blocks

HEADER = struct.Struct("<BBBBIII")  # version, codec version, flags, typesize, bytes, block size, compressed bytes
LZ4_BLOCKS = (2, 1, 0x30)  # first bytes of a header: Blosc 1, LZ4, flags for LZ4 and for blocks that are not split
STORED = 0x2  # flag: the chunk is not compressed and has no offsets
ACCELERATION = 10 - LEVEL  # of LZ4, as in Blosc


def encode_samples(images: npt.NDArray[np.float32], layout: Layout) -> list[bytes]:
    """Compress images, each as a Blosc block.

    Blosc compresses all of them in one call. Where it does not make blocks of this size, LZ4 is called for each.

    Parameters
    ----------
    images
        float32 (n, ieta, iphi, channel), C-contiguous.
    layout
        Size of a sample, and codec.

    Returns
    -------
    list of bytes
        The Blosc block of each image: size and data.
    """
    if not makes_blocks(layout.typesize, layout.sample_bytes):
        return [_encode_block(image) for image in images]
    chunk = numcodecs.Blosc(**layout.codec).encode(images)
    flags = chunk[2]
    if flags & STORED:
        return [_stored_block(image) for image in images]
    starts = np.frombuffer(chunk, "<i4", len(images), HEADER.size).tolist()
    return [chunk[start : start + 4 + int.from_bytes(chunk[start : start + 4], "little")] for start in starts]


def _encode_block(image: npt.NDArray[np.float32]) -> bytes:
    packed = compress(image, ACCELERATION)[4:]  # without the size of the image, with which numcodecs begins
    return struct.pack("<i", len(packed)) + packed if len(packed) < image.nbytes else _stored_block(image)


def _stored_block(image: npt.NDArray[np.float32]) -> bytes:
    return struct.pack("<i", image.nbytes) + image.tobytes()


def join_blocks(blocks: Sequence[bytes], layout: Layout) -> bytes:
    """Join at most `layout.chunk` blocks to a Blosc chunk, which is filled up with samples of zeros."""
    count = layout.chunk
    if len(blocks) < count:
        blocks = [*blocks, *[zero_block(layout)] * (count - len(blocks))]
    lengths = np.fromiter(map(len, blocks), np.int64, count)
    starts = HEADER.size + 4 * count + np.cumsum(lengths) - lengths
    total = HEADER.size + 4 * count + int(lengths.sum())
    header = HEADER.pack(*LZ4_BLOCKS, layout.typesize, count * layout.sample_bytes, layout.sample_bytes, total)
    return b"".join((header, starts.astype("<i4").tobytes(), *blocks))


def decode_block(block: bytes, sample_bytes: int) -> bytes:
    """Decode a block with the public decoder of numcodecs, which is given a chunk that consists of this block only.

    Raises
    ------
    RuntimeError
        If the data do not decode to `sample_bytes` bytes.
    """
    start = HEADER.size + 4
    header = HEADER.pack(*LZ4_BLOCKS, 32, sample_bytes, sample_bytes, start + len(block))
    return bytes(numcodecs.Blosc().decode(header + struct.pack("<i", start) + block))


@functools.cache
def zero_block(layout: Layout) -> bytes:
    """Return the block of a sample whose values are all zero."""
    return encode_samples(np.zeros((1, layout.sample_bytes // 4), np.float32), layout)[0]
