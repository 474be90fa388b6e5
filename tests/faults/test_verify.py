"""Damage to a store is found wherever it is, and the file is named."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import zarr

from ingest.executors import ThreadExecutor
from ingest.verify import verify
from store.blosc import encode_samples
from store.digests import DIGESTS_FILE, write_digests
from store.errors import CalostreamError, SourceError
from store.layout import Layout, shard_path
from store.writer import write_shard
from tests.faults.conftest import Undisturbed, refusal
from tests.faults.program import start
from tests.faults.showers import ROWS, write_sources

Place = Callable[[int, np.random.Generator], int]
EXECUTOR = ThreadExecutor(count=2)
INDEX = 16 * 32 + 4  # bytes of a shard's index of 32 chunks and its checksum


def anywhere(size: int, random: np.random.Generator) -> int:
    return int(random.integers(size))


def in_index(size: int, random: np.random.Generator) -> int:
    return int(random.integers(size - INDEX, size - 4))


def in_checksum(size: int, random: np.random.Generator) -> int:
    return int(random.integers(size - 4, size))


FILES: dict[str, tuple[str, Place]] = {
    "shard": ("image/c.*", anywhere),
    "index of a shard": ("image/c.*", in_index),
    "checksum of an index": ("image/c.*", in_checksum),
    "labels": ("label/c/*", anywhere),
    "provenance": ("source_*/c/*", anywhere),
    "statistics": ("statistics/*/c/**/*", anywhere),
    "metadata of the root": ("zarr.json", anywhere),
    "metadata of the images": ("image/zarr.json", anywhere),
    "other metadata": ("*/**/zarr.json", anywhere),
}


@pytest.fixture
def copy(undisturbed: Undisturbed, tmp_path: Path) -> Path:
    return shutil.copytree(undisturbed.store, tmp_path / "showers.zarr")


@pytest.fixture
def points(pytestconfig: pytest.Config) -> Iterable[int]:
    """Return seeds, one for each place to damage."""
    return range(30 if pytestconfig.getoption("faults") else 1)


def problems(store: Path, sources: Sequence[Path] = ()) -> tuple[str, ...]:
    """Return the problems that the program would print."""
    try:
        return verify(store, sources, EXECUTOR).problems
    except CalostreamError as error:
        return (str(error),)


@contextmanager
def flipped(store: Path, pattern: str, place: Place, seed: int) -> Iterator[Path]:
    """Change one byte of one file of a store, yield the file, and change it back."""
    random = np.random.default_rng([seed, *pattern.encode()])
    path = Path(random.choice(sorted(path for path in store.glob(pattern) if path.is_file())))
    content = path.read_bytes()
    other = bytearray(content)
    other[place(len(content), random)] ^= int(random.integers(1, 256))
    path.write_bytes(other)
    yield path
    path.write_bytes(content)


@pytest.mark.parametrize(("pattern", "place"), FILES.values(), ids=FILES)
def test_a_flipped_byte(copy: Path, pattern: str, place: Place, points: Iterable[int]) -> None:
    for point in points:
        with flipped(copy, pattern, place, point) as path:
            assert any(str(path) in problem for problem in problems(copy))


@pytest.mark.parametrize(("pattern", "place"), FILES.values(), ids=FILES)
def test_a_flipped_byte_beside_the_sources(
    undisturbed: Undisturbed, copy: Path, pattern: str, place: Place, points: Iterable[int]
) -> None:
    for point in points:
        with flipped(copy, pattern, place, point) as path:
            assert any(str(path) in problem for problem in problems(copy, undisturbed.sources))


def test_a_flipped_byte_in_the_record_of_digests(copy: Path, points: Iterable[int]) -> None:
    for point in points:
        with flipped(copy, DIGESTS_FILE, anywhere, point):
            named = (DIGESTS_FILE, "not among the recorded digests")
            assert any(text in problem for problem in problems(copy) for text in named)


@pytest.mark.parametrize("name", ["image/c.3.0.0.0", "label/c/0", "zarr.json", "statistics/mean/zarr.json"])
def test_a_missing_file(undisturbed: Undisturbed, copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert f"{copy / name}: missing" in problems(copy)
    assert f"{copy / name}: missing" in problems(copy, undisturbed.sources)


@pytest.mark.parametrize("name", ["image/c.12.0.0.0", "image/c.3.0.0.0.partial", "label/c/1", "notes.txt"])
def test_an_extra_file(copy: Path, name: str) -> None:
    (copy / name).write_bytes(b"extra")
    assert f"{copy / name}: not among the recorded digests" in problems(copy)


def test_an_image_changed_with_all_its_digests(undisturbed: Undisturbed, copy: Path) -> None:
    image = zarr.open_array(copy / "image", mode="r")
    layout = Layout(sample_bytes=8192, chunk=image.chunks[0], shard=image.shards[0])
    images = np.asarray(image[3 * layout.shard : 4 * layout.shard])
    images[17, 16, 16, 0] = np.nextafter(images[17, 16, 16, 0], np.float32(2))
    write_shard(shard_path(copy, 3), encode_samples(images, layout), layout)
    write_digests(copy)
    (found,) = problems(copy, undisturbed.sources)
    assert found.startswith(f"{copy}: 1 samples differ from /")
    assert found.endswith(f": {3 * layout.shard + 17}")


def test_one_row_twice(undisturbed: Undisturbed, copy: Path) -> None:
    row, file = zarr.open_array(copy / "source_row"), zarr.open_array(copy / "source_file", mode="r")
    first, second = np.flatnonzero(np.asarray(file[:]) == 1)[:2]
    row[first] = row[second]
    write_digests(copy)
    assert f"{copy / 'source_row'}: two samples are of the same row of the same source" in problems(copy)


@pytest.mark.parametrize("value", [1500, -1])
def test_a_row_that_no_source_has(undisturbed: Undisturbed, copy: Path, value: int) -> None:
    zarr.open_array(copy / "source_row")[7] = value
    write_digests(copy)
    assert f"{copy / 'source_row'}: names rows that no source has" in problems(copy, undisturbed.sources)


def test_another_source_is_refused(undisturbed: Undisturbed, tmp_path: Path) -> None:
    other = write_sources(tmp_path, first=ROWS)[0]
    with pytest.raises(SourceError, match=rf"{other}: sha256 \w+ matches none of the store's sources"):
        verify(undisturbed.store, [other], EXECUTOR)


def test_the_program_names_the_file_and_fails(copy: Path, notes: Path) -> None:
    with flipped(copy, *FILES["labels"], seed=0) as path:
        assert f"{path}: sha256" in refusal(start(notes, "verify", copy))
