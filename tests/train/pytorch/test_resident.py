"""Images in the memory of a PyTorch device are those of the stream, bit for bit and in its order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import store
from store.sparse import SparseImages
from tests.strategies import images
from tests.train.test_resident import CUT, open_stream, read
from train.augmentation import SYMMETRIES, Augmentation
from train.pytorch import resident
from train.pytorch.feed import Feed
from train.pytorch.resident import expand, signed_positions

CPU = torch.device("cpu")


def same_bits(tensor: torch.Tensor, array: np.ndarray) -> None:
    assert tuple(tensor.shape) == array.shape
    np.testing.assert_array_equal(tensor.numpy().view(np.uint8), array.view(np.uint8))


@given(data=st.data(), shape=st.sampled_from([(3, 4, 2), (1, 1, 1), (16, 17, 1)]), count=st.integers(0, 9))
def test_sparse_images_expand_to_the_same_bits(data: st.DataObject, shape: tuple[int, ...], count: int) -> None:
    dense = data.draw(images(count, shape))
    sparse = SparseImages.of(dense)
    arrays = sparse.value, signed_positions(sparse), np.diff(sparse.offset)
    same_bits(expand(*map(torch.from_numpy, arrays), shape), dense)


@pytest.mark.parametrize("shape", [(256, 256, 1), (257, 256, 1)])
def test_positions_of_large_images_are_not_signed(shape: tuple[int, ...]) -> None:
    dense = np.zeros((3, *shape), np.float32)
    dense[0, -1, -1], dense[2, 0, 0], dense[2, 200, 7] = 1, -0.0, np.nan
    sparse = SparseImages.of(dense)
    arrays = sparse.value, signed_positions(sparse), np.diff(sparse.offset)
    same_bits(expand(*map(torch.from_numpy, arrays), shape), dense)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"batch_size": 64, "where": CUT},
    {"where": CUT, "balance": "class"},
    {"samples": 70, "batch_size": 16},
    {"rank": 2, "world_size": 7, "batch_size": 34},  # its last batch has no sample on this rank
    {"rank": 1, "world_size": 2, "shuffle": "window", "batch_size": 32},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("together", [False, True])
def test_batches_are_those_of_the_stream(
    showers: Path, options: dict[str, Any], together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if together:  # as on a GPU, several batches are expanded at once
        monkeypatch.setattr(resident, "expands_together", lambda device: True)
        monkeypatch.setattr("train.resident.SAMPLES_AT_ONCE", 150)
        monkeypatch.setattr(resident, "EXPANDED_BYTES", 110 * 8192)
    opened = store.open_store(showers)
    augmentation = Augmentation(name="flips", spec=opened.spec, seed=5)
    compare(*(open_stream(showers, **options, transform=augmentation) for _ in range(2)))


@pytest.mark.parametrize("name", SYMMETRIES)
def test_jets_are_turned_as_in_the_stream(jets: Path, name: str) -> None:
    augmentation = Augmentation(name=name, spec=store.open_store(jets).spec, seed=5)
    compare(*(open_stream(jets, batch_size=7, transform=augmentation) for _ in range(2)))


def compare(stream: store.BatchStream, other: store.BatchStream) -> None:
    """Assert that two equal streams give the same, the second from memory, also from the middle of an epoch."""
    samples = store.open_store(stream.path).image.shape[0]
    random = np.random.default_rng(0)
    variables, weights = random.random((samples, 2), np.float32), random.random(samples, np.float32)
    targets = random.random((samples, 3), np.float32)
    plain, held = (Feed(CPU, variables, weights) for _ in range(2))
    for feed in (plain, held):
        feed.teach(targets)
    held.hold("train", read(other))
    for state in ({}, {"epoch": 2, "batch": 1}):
        stream.load_state_dict(stream.state_dict() | state)
        other.load_state_dict(other.state_dict() | state)
        for (batch, inputs, target), (same, same_inputs, same_target) in zip(plain(stream), held(other), strict=True):
            np.testing.assert_array_equal(same.sample, batch.sample)
            np.testing.assert_array_equal(same.label, batch.label)
            assert len(target) == 3
            for tensor, wanted in zip((*same_inputs, *same_target), (*inputs, *target), strict=True):
                same_bits(tensor, wanted.numpy())
        assert stream.state_dict() == other.state_dict()


def test_sparse_streams_are_expanded(jets: Path) -> None:
    augmentation = Augmentation(name="flips-rotations", spec=store.open_store(jets).spec, seed=5)
    dense, sparse = (open_stream(jets, batch_size=7, transform=augmentation, sparse=sparse) for sparse in (False, True))
    for batch, (same, (image,), label) in zip(dense, Feed(CPU)(sparse), strict=True):
        np.testing.assert_array_equal(same.sample, batch.sample)
        same_bits(image, batch.image)
        same_bits(label, batch.label)


@pytest.mark.gpu
@pytest.mark.parametrize("feed", ["stream", "sparse", "resident"])
def test_gpu_gets_the_batches_of_the_stream(jets: Path, feed: str) -> None:
    device = torch.device("cuda")
    augmentation = Augmentation(name="flips-rotations", spec=store.open_store(jets).spec, seed=5)
    on_gpu = Feed(device)
    fed = open_stream(jets, batch_size=7, transform=augmentation, sparse=feed == "sparse")
    if feed == "resident":
        on_gpu.hold("train", read(fed))
    for _ in range(2):
        wanted = open_stream(jets, batch_size=7, transform=augmentation, epoch=fed.epoch)
        for batch, (same, (image,), label) in zip(wanted, on_gpu(fed), strict=True):
            np.testing.assert_array_equal(same.sample, batch.sample)
            same_bits(image.cpu(), batch.image)
            same_bits(label.cpu(), batch.label)


@pytest.mark.gpu
def test_resident_batches_need_no_synchronisation(showers: Path) -> None:
    augmentation = Augmentation(name="flips", spec=store.open_store(showers).spec, seed=5)
    stream, held = open_stream(showers, transform=augmentation), Feed(torch.device("cuda"))
    held.hold("train", read(stream))
    list(held(stream))  # the table of symmetries is copied once
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert len(list(held(stream))) == 5
    finally:
        torch.cuda.set_sync_debug_mode("default")
