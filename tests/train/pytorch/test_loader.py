"""The stream as a PyTorch dataset: in a plain loop, and in a DataLoader with workers started in any way."""

import copy
import itertools
import json
import pickle  # noqa: TID251
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset

from store.errors import PlanError, StateError
from store.stream import BatchStream
from tests.examples import tell_tale_images, tell_tale_labels, write_store
from tests.train.pytorch.ranks import run_ranks
from train.pytorch.loader import Loader

SPLIT = 350
IMAGES, LABELS = torch.from_numpy(tell_tale_images(500)), torch.from_numpy(tell_tale_labels(500))

# A machine with fewer cores than workers is fine for a test.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("loader") / "store.zarr")


def open_loader(path, **options):
    return Loader(BatchStream(path, **{"split": "train", "batch_size": 16, **options}))


def load(loader, workers, method=None, **options):
    """Return a DataLoader as the documentation shows it."""
    context = method and torch.multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["torch"])  # one process imports it, and not each worker
    return DataLoader(loader, batch_size=None, num_workers=workers, multiprocessing_context=context, **options)


def orders(batches):
    """Return the samples of each batch, after checking that each row is the image and label of its sample."""
    found = []
    for image, *_, label in batches:
        sample = image[:, 0, 0, 0].long() - 1  # see tell_tale_images
        assert torch.equal(image, IMAGES[sample])
        assert torch.equal(label, LABELS[sample])
        found.append(sample.tolist())
    return found


def expected(path, epoch=0, **options):
    stream = BatchStream(path, **{"split": "train", "batch_size": 16, **options})
    plan = stream.plan.at_epoch(epoch)
    return [plan[i].tolist() for i in range(len(plan))]


def test_it_is_an_iterable_dataset_with_the_length_of_an_epoch(path):
    loader = open_loader(path)
    assert isinstance(loader, IterableDataset)
    assert len(loader) == 22
    assert repr(loader).startswith("Loader(BatchStream(")


@pytest.mark.parametrize(
    ("workers", "method", "persistent"),
    [
        (0, None, False),
        (1, "fork", False),
        (3, "fork", False),
        (3, "fork", True),
        (2, "spawn", True),
        pytest.param(2, "spawn", False, marks=pytest.mark.slow),
        (2, "forkserver", False),
    ],
)
def test_batches_come_once_in_the_order_of_the_stream_and_differ_from_epoch_to_epoch(path, workers, method, persistent):
    data = load(open_loader(path), workers, method, persistent_workers=persistent)
    assert len(data) == 22
    for epoch in range(2 if method in ("spawn", "forkserver") else 3):
        assert orders(data) == expected(path, epoch)


def test_more_workers_than_batches(path):
    assert orders(load(open_loader(path, batch_size=200), 3)) == expected(path, batch_size=200)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("persistent", [False, True])
def test_an_epoch_that_was_broken_off_is_followed_by_the_whole_next_one(path, workers, persistent):
    data = load(open_loader(path), workers, persistent_workers=persistent and workers > 0)
    for epoch in range(3):
        for count, batch in enumerate(data):
            assert orders([batch]) == [expected(path, epoch)[count]]
            if count == 3:
                break
    assert orders(data) == expected(path, 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_be_chosen(path, workers):
    loader = open_loader(path)
    data = load(loader, workers)
    for epoch in (4, 4, 1):
        loader.set_epoch(epoch)
        assert orders(data) == expected(path, epoch)
    assert orders(data) == expected(path, 2)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_random_state_before_each_epoch_does_not_repeat_one(path, seed):
    data = load(open_loader(path), 2)
    for epoch in range(3):
        torch.manual_seed(seed)  # DataLoader draws the seed of its workers from it
        assert orders(data) == expected(path, epoch)


@pytest.mark.parametrize("given", [0, 1, 21, 22])
def test_a_state_taken_anywhere_gives_the_same_remaining_batches_and_next_epoch(path, given):
    before = open_loader(path)
    list(before)
    batches = iter(before)
    for _ in range(given):
        next(batches)
    state = before.state_dict()
    assert (state["epoch"], state["batch"]) == (1, given)
    after = open_loader(path)
    after.load_state_dict(state)
    after.set_epoch(1)  # as many loops do; the position in this epoch stays
    assert orders(after) == expected(path, 1)[given:]
    assert orders(after) == expected(path, 2)


def test_the_state_after_an_epoch_is_the_beginning_of_the_next(path):
    before, after = open_loader(path), open_loader(path)
    list(before)
    after.load_state_dict(before.state_dict())
    assert orders(after) == expected(path, 1)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_continue_from_a_state(path, workers):
    before, after = open_loader(path), open_loader(path)
    list(itertools.islice(before, 7))
    after.load_state_dict(before.state_dict())
    data = load(after, workers)
    assert orders(data) == expected(path)[7:]
    assert orders(data) == expected(path, 1)


def test_the_state_is_that_of_a_stream_and_serves_both(path):
    stream = BatchStream(path, split="train", batch_size=16)
    for _ in itertools.islice(stream, 5):
        pass
    loader = open_loader(path)
    loader.load_state_dict(stream.state_dict())
    assert loader.state_dict() == stream.state_dict()
    assert orders(Loader(stream)) == orders(loader) == expected(path)[5:]


def test_a_state_is_refused_while_only_the_workers_know_it(path):
    loader = open_loader(path)
    batches = iter(load(loader, 2))
    next(batches)
    with pytest.raises(StateError, match="worker processes read this epoch"):
        loader.state_dict()
    del batches
    loader.set_epoch(1)
    assert (loader.state_dict()["epoch"], loader.state_dict()["batch"]) == (1, 0)


def test_the_tensors_are_the_memory_of_the_batch(path, monkeypatch):
    loader, taken = open_loader(path), []
    take = loader.stream.buffers.take
    monkeypatch.setattr(loader.stream.buffers, "take", lambda: taken.append(take()) or taken[-1])
    image, label = next(iter(loader))
    assert (image.dtype, label.dtype) == (torch.float32, torch.uint8)
    assert image.data_ptr() in {buffer.ctypes.data for buffer in taken}


@pytest.mark.parametrize("workers", [0, 2])
def test_columns_come_between_image_and_label(path, workers):
    loader = open_loader(path, columns=("source_row", "split"), where="source_row >= 100 and label == 1")
    rows = []
    for image, columns, label in load(loader, workers):
        assert list(columns) == ["source_row", "split"]
        assert (columns["source_row"].dtype, columns["split"].dtype) == (torch.int64, torch.uint8)
        assert torch.equal(columns["source_row"], image[:, 0, 0, 0].long() - 1)
        assert label.all()
        rows += columns["source_row"].tolist()
    assert sorted(rows) == [row for row in range(100, SPLIT) if LABELS[row] == 1]


def test_a_copy_moves_independently(path):
    loader = open_loader(path)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    for other in (copy.copy(loader), copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
        assert orders(other) == expected(path)[3:]
        assert orders(other) == expected(path, 1)
    assert orders(batches) == expected(path)[3:]
    assert orders(loader) == expected(path, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_given_ranks_share_every_batch(path, workers):
    whole = expected(path, batch_size=32)
    ranks = [
        orders(load(Loader(BatchStream(path, split="train", batch_size=16), rank=rank, world_size=2), workers))
        for rank in range(2)
    ]
    assert [first + second for first, second in zip(*ranks, strict=True)] == whole


def test_ranks_that_have_met_share_every_batch_without_being_told(path, tmp_path):
    run_ranks(2, sys.executable, "-m", "tests.train.pytorch.loader_side", path, tmp_path)
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    for epoch in range(3):
        together = [first + second for first, second in zip(*(rank["epochs"][epoch] for rank in ranks), strict=True)]
        assert together == expected(path, epoch, batch_size=32)
    assert [rank["length"] for rank in ranks] == [11, 11]
    assert [rank["state"]["rank"] for rank in ranks] == [0, 1]
    assert [rank["alone"] for rank in ranks] == [53, 53], "each rank was told to read everything"
    alone = open_loader(path, batch_size=32)
    alone.load_state_dict(ranks[1]["state"])
    assert orders(alone) == expected(path, 3, batch_size=32)


def test_a_given_plan_is_not_read_by_every_rank_in_silence(path, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    loader = Loader(BatchStream(path, plan=[np.array([1]), np.array([2])]))
    with pytest.raises(PlanError, match="a given plan cannot be divided among 2 ranks: give each rank a plan of its"):
        next(iter(loader))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 1}, "rank=1 and world_size=None: give both or neither"),
        ({"rank": 2, "world_size": 2}, r"rank=2 is not in \[0, 2\)"),
    ],
)
def test_ranks_that_are_not_there_are_refused(path, options, message):
    with pytest.raises(PlanError, match=message):
        Loader(BatchStream(path, split="train", batch_size=16), **options)


@pytest.mark.parametrize("epoch", [-1, 1.5, None, True])
def test_an_epoch_that_is_no_number_is_refused(path, epoch):
    with pytest.raises(PlanError, match=f"epoch={epoch!r} is not an integer of at least 0"):
        open_loader(path).set_epoch(epoch)


def test_a_given_plan_is_followed_by_workers(path):
    plan = [np.array([4, 2]), np.array([499]), np.array([7, 7, 7])]
    loader = Loader(BatchStream(path, plan=plan))
    assert orders(load(loader, 2)) == [batch.tolist() for batch in plan]


@pytest.mark.gpu
def test_images_are_in_pinned_memory_where_there_is_a_gpu(path):
    image, _ = next(iter(open_loader(path)))
    assert image.is_pinned()


class EveryWorkerGivesAll(IterableDataset):
    """What one writes without `Loader`: each worker would have a copy of the stream."""

    def __init__(self, path, **options):
        self.stream = BatchStream(path, split="train", batch_size=16, **options)

    def __iter__(self):
        return (torch.from_numpy(batch.sample) for batch in self.stream)


def test_workers_that_would_all_give_every_sample_are_refused(path):
    with pytest.raises(PlanError, match=r"each of the 2 workers .* calostream\.torch\.Loader"):
        list(load(EveryWorkerGivesAll(path), 2, "fork"))
    assert len(list(load(EveryWorkerGivesAll(path), 1, "fork"))) == 22
    assert len(list(load(EveryWorkerGivesAll(path), 0))) == 22


def test_a_sparse_stream_is_refused(path):
    with pytest.raises(PlanError, match="sparse=True: a Loader gives dense images"):
        open_loader(path, sparse=True)
