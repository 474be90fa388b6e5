"""Blosc 1 chunks with one sample per block: making blocks, joining them to chunks, decoding a block.

A chunk consists of a 16-byte header, the offset of each block as little-endian int32, and the blocks. A block consists
of its size as int32 and its data; if the size is that of a sample, the data are not compressed. Reference:
README_CHUNK_FORMAT of c-blosc 1.21.
"""

import ctypes
import functools
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numcodecs
import numpy as np
from numcodecs.lz4 import compress

from store.arrays import Float32Array, Int64Array, UInt8Array
from store.compiled.blocks import bound, count_equal, encode_blocks, join_chunks, lz4_fast_address
from store.layout import LEVEL, Layout, makes_blocks
from store.scratch import scratch

HEADER = struct.Struct("<BBBBIII")  # version, codec version, flags, typesize, bytes, block size, compressed bytes
LZ4_BLOCKS = (2, 1, 0x30)  # first bytes of a header: Blosc 1, LZ4, flags for LZ4 and for blocks that are not split
STORED = 0x2  # flag: the chunk is not compressed and has no offsets
ACCELERATION = 10 - LEVEL  # of LZ4, as in Blosc
GROUP = 64  # samples that Blosc would compress in one call; blocks of samples that hardly shrink depend on it
LZ4 = lz4_fast_address()


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """Blosc blocks of samples, anywhere in memory.

    Attributes
    ----------
    address, size
        int64 (n,), address and bytes of each block.
    memory
        What holds the blocks.
    """

    address: Int64Array
    size: Int64Array
    memory: tuple[Any, ...]

    @classmethod
    def of(cls, blocks: Iterable[bytes]) -> "Blocks":
        """Return blocks that are given as bytes."""
        memory = tuple(np.frombuffer(block, np.uint8) for block in blocks)
        address = np.fromiter((block.ctypes.data for block in memory), np.int64, len(memory))
        return cls(address=address, size=np.fromiter(map(len, memory), np.int64, len(memory)), memory=memory)

    @classmethod
    def join(cls, parts: "Iterable[Blocks]") -> "Blocks":
        """Return all blocks of some parts, in order."""
        parts = [cls.of(()), *parts]
        return cls(
            address=np.concatenate([part.address for part in parts]),
            size=np.concatenate([part.size for part in parts]),
            memory=tuple(part.memory for part in parts),
        )

    def __len__(self) -> int:
        return self.size.size

    def __getitem__(self, index: slice) -> "Blocks":
        return Blocks(address=self.address[index], size=self.size[index], memory=self.memory)

    def __iter__(self) -> Iterator[bytes]:
        for address, size in zip(self.address.tolist(), self.size.tolist(), strict=True):  # while `memory` is held
            yield ctypes.string_at(address, size)

    def count(self, block: bytes) -> int:
        """Return how many of them are equal to a block."""
        return int(count_equal(self.address, self.size, np.frombuffer(block, np.uint8)))


def encode_samples(images: Float32Array, layout: Layout) -> Blocks:
    """Compress images, each as a Blosc block.

    The blocks are those that Blosc makes of `GROUP` images at a time. For sizes of which Blosc makes no blocks, LZ4
    compresses each image on its own.

    Parameters
    ----------
    images
        float32 (n, ieta, iphi, channel), C-contiguous.
    layout
        Size of a sample, and codec.
    """
    if not LZ4:
        return Blocks.of(encode_with_numcodecs(images, layout))
    group = GROUP if _is_of_blosc(layout) else 0
    most = len(images) * (4 + layout.sample_bytes) + (0 if group else bound(layout.sample_bytes))
    size = np.empty(len(images), np.int64)
    with scratch(most) as target:
        arguments = (layout.sample_bytes, group, ACCELERATION, target.ctypes.data, size)
        packed = target[: encode_blocks(LZ4, images.ctypes.data, *arguments)].copy()
    return Blocks(address=packed.ctypes.data + np.cumsum(size) - size, size=size, memory=(packed,))


def encode_with_numcodecs(images: Float32Array, layout: Layout) -> list[bytes]:
    """Return the same blocks as `encode_samples`, more slowly, with the public functions of numcodecs."""
    if not _is_of_blosc(layout):
        return [_encode_block(image) for image in images]
    blocks = []
    for start in range(0, len(images), GROUP):
        blocks += _encode_group(images[start : start + GROUP], layout)
    return blocks


@functools.cache
def _is_of_blosc(layout: Layout) -> bool:
    return makes_blocks(layout.typesize, layout.sample_bytes)


def _encode_group(images: Float32Array, layout: Layout) -> list[bytes]:
    chunk = numcodecs.Blosc(**layout.codec).encode(images)
    flags = chunk[2]
    if flags & STORED:
        return [_stored_block(image) for image in images]
    starts = np.frombuffer(chunk, "<i4", len(images), HEADER.size).tolist()
    return [chunk[start : start + 4 + int.from_bytes(chunk[start : start + 4], "little")] for start in starts]


def _encode_block(image: Float32Array) -> bytes:
    packed = compress(image, ACCELERATION)[4:]  # without the size of the image, with which numcodecs begins
    return struct.pack("<i", len(packed)) + packed if len(packed) < image.nbytes else _stored_block(image)


def _stored_block(image: Float32Array) -> bytes:
    return struct.pack("<i", image.nbytes) + image.tobytes()


def join_blocks(blocks: Blocks, layout: Layout, tail: int = 0) -> tuple[UInt8Array, Int64Array]:
    """Join blocks to Blosc chunks of `layout.chunk` blocks, the last of which is filled up with samples of zeros.

    Parameters
    ----------
    blocks
        The blocks, in order.
    layout
        Sizes and codec.
    tail
        Bytes to leave free after the chunks.

    Returns
    -------
    content : uint8
        The chunks one after another, and the free bytes.
    sizes : int64 (chunk,)
        Size of each chunk.
    """
    chunk, zero = layout.chunk, np.frombuffer(zero_block(layout), np.uint8)
    sizes = np.empty(-(-len(blocks) // chunk), np.int64)
    filling = (sizes.size * chunk - len(blocks)) * zero.size
    total = sizes.size * (HEADER.size + 4 * chunk) + int(blocks.size.sum()) + filling
    content = np.empty(total + tail, np.uint8)
    numbers = (layout.typesize, chunk * layout.sample_bytes, layout.sample_bytes)
    header = np.frombuffer(HEADER.pack(*LZ4_BLOCKS, *numbers, 0), np.uint8)[:-4]
    join_chunks(blocks.address, blocks.size, chunk, header, zero, content.ctypes.data, sizes)
    return content, sizes


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
    (block,) = encode_samples(np.zeros((1, layout.sample_bytes // 4), np.float32), layout)
    return block
