"""A program in place of a trained model: it starts at once, and its scores depend on every bit of an image."""

import sys
import zlib
from struct import pack, unpack

HEADER_BYTES = 40

images, scores = sys.stdin.buffer, sys.stdout.buffer
while len(header := images.read(HEADER_BYTES)) == HEADER_BYTES:
    rows, ieta, iphi, channels, variables = unpack("<5q", header)
    sizes = (4 * ieta * iphi * channels, 4 * variables)
    blocks = [images.read(rows * size) for size in sizes]
    scores.write(pack("<q", 1))  # score per sample
    for row in range(rows):
        sample = b"".join(block[row * size : (row + 1) * size] for block, size in zip(blocks, sizes, strict=True))
        scores.write(pack("<d", zlib.crc32(sample) / 2**32))
    scores.flush()
