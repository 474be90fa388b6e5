"""Reads randomly damaged shards, and randomly damaged chunks that lie against protected memory.

Prints how many reads were refused and how many returned values, for shards and for chunks. A crash shows as the exit
status.
"""

import ctypes
import mmap
import sys
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
import zarr

from store.blosc import encode_samples, join_blocks
from store.compiled.decode import decode_sample, lz4_address
from store.errors import CorruptStoreError
from store.layout import Layout, shard_path
from store.readers.block_reader import BlockReader
from store.readers.mapped_reader import MappedReader
from store.readers.pread_reader import PreadReader
from store.readers.shard_files import LocalShards
from tests.examples import tell_tale_images, write_images
from tests.strategies import image

SHAPE = (8, 8, 2)
LAYOUT = Layout(sample_bytes=512, chunk=4, shard=8)
ADVERSE = (0, 1, 15, 16, 31, 32, 255, 511, 512, 513, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF)
PAGE = mmap.PAGESIZE


def damage(random: np.random.Generator, data: bytes) -> bytes:
    """Return the data with some bits flipped, bytes or words replaced, or the end missing."""
    out = bytearray(data)
    for _ in range(random.integers(1, 4)):
        kind = random.integers(4)
        if kind == 0:
            out[random.integers(len(out))] ^= 1 << random.integers(8)
        elif kind == 1:
            out[random.integers(len(out))] = random.integers(256)
        else:  # half of the words in the chunk's header, block table and first block size
            at = 4 * random.integers(0, 9) if kind == 2 else random.integers(max(1, len(out) - 4))
            word = random.choice(ADVERSE) if random.integers(2) else len(data) - random.integers(0, 40)
            out[at : at + 4] = int(word % 2**32).to_bytes(4, "little")
    return bytes(out[: random.integers(len(out))]) if random.integers(8) == 0 else bytes(out[: len(data)])


def read_all(
    reader_class: type[BlockReader], array: "zarr.Array[Any]", root: Path
) -> tuple[npt.NDArray[np.float32], str]:
    """Return what a reader gives of all images, and the message of its error, or an empty text."""
    out = np.empty((14, *SHAPE), np.float32)
    try:
        reader_class(array, LocalShards(array, root)).read(np.arange(14), out)
    except CorruptStoreError as error:
        return out, str(error)
    return out, ""


def fuzz_shards(root: Path, rounds: int) -> tuple[int, int]:
    """Damage whole files of a small store."""
    write_images(root, tell_tale_images(14, SHAPE), LAYOUT)
    random = np.random.default_rng(0)
    array = zarr.open_array(root, path="image", mode="r")
    path = shard_path(root, 1)
    good = path.read_bytes()
    refused = 0
    for k in range(rounds):
        bad = damage(random, good)
        if k % 2 and len(bad) == len(good):  # damage that the checksum of the index does not show
            index = bytearray(bad[-36:-4])
            if random.integers(2):
                at = 4 * random.integers(8)
                index[at : at + 4] = int(random.choice(ADVERSE)).to_bytes(4, "little")
            bad = bad[:-36] + bytes(index) + google_crc32c.value(bytes(index)).to_bytes(4, "little")
        path.unlink()
        path.write_bytes(bad)
        out, message = read_all(MappedReader, array, root)
        refused += bool(message)
        assert not message or str(path) in message, message
        assert message or np.array_equal(out[:8], tell_tale_images(14, SHAPE)[:8]), "the other shard is untouched"
        same, same_message = read_all(PreadReader, array, root)
        assert same_message == message
        assert message or same.tobytes() == out.tobytes()
    return refused, rounds - refused


class Fenced:
    """Memory between two protected pages: reading or writing a byte before or after it is a crash."""

    def __init__(self, size: int) -> None:
        self.pages = -(-size // PAGE)
        self.memory = mmap.mmap(-1, (self.pages + 2) * PAGE)
        self.first = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        libc = ctypes.CDLL(None, use_errno=True)
        for page in (0, self.pages + 1):
            address = ctypes.c_void_p(self.first + page * PAGE)
            assert libc.mprotect(address, ctypes.c_size_t(PAGE), 0) == 0

    def address(self, size: int, *, at_end: bool) -> int:
        """Return the address of data of this size that touch the page after them or the page before them."""
        return self.first + PAGE * (self.pages + 1) - size if at_end else self.first + PAGE


def make_chunk(random: np.random.Generator) -> bytes:
    """Return a chunk of four images of any kind."""
    kinds = random.choice(["zeros", "sparse", "noise", "constant"], 4)
    stack = np.stack([image(random, SHAPE, str(kind)) for kind in kinds])
    good = bytes(join_blocks(encode_samples(stack, LAYOUT), LAYOUT)[0])
    if random.integers(8):
        return good
    header = bytearray(good[:16])  # the form that Blosc gives to what it cannot compress
    header[2] |= 2
    return bytes(header) + stack.tobytes()


def fuzz_chunks(rounds: int) -> tuple[int, int]:
    """Damage single chunks and decode them from and to fenced memory."""
    random = np.random.default_rng(1)
    lz4 = lz4_address()
    samples: npt.NDArray[np.int64] = np.array([2, 0, 3, 3, 1] * 4)
    target_bytes = samples.size * LAYOUT.sample_bytes
    source, target = Fenced(3000), Fenced(target_bytes)
    refused = 0
    for k in range(rounds):
        if k % 10 == 0:
            good = make_chunk(random)
        bad = damage(random, good)
        start = source.address(len(bad), at_end=bool(k % 2))
        ctypes.memmove(start, bad, len(bad))
        row = target.address(target_bytes, at_end=bool(k // 2 % 2))
        for sample in samples.tolist():
            defect = decode_sample(lz4, start, len(bad), LAYOUT.chunk, LAYOUT.sample_bytes, sample, row)
            row += LAYOUT.sample_bytes
            if defect:
                break
        refused += defect != 0
    return refused, rounds - refused


if __name__ == "__main__":
    print(*fuzz_shards(Path(sys.argv[1]), 700), *fuzz_chunks(20_000))
