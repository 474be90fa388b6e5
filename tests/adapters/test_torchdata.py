"""torchdata's StatefulDataLoader, which resumes in the middle of an epoch, also with workers."""

import itertools
import pickle  # noqa: TID251

import pytest

from calostream.torch import Loader
from store.stream import BatchStream
from tests.examples import write_store

loaders = pytest.importorskip(
    "torchdata.stateful_dataloader", reason="needs torchdata: ./pixiw run -e adapters test-adapters"
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),  # torchdata 0.11 calls it
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("torchdata") / "store.zarr")


def load(path, workers, *, persistent=False, batch_size=16):
    loader = Loader(BatchStream(path, split="train", batch_size=batch_size))
    return loaders.StatefulDataLoader(
        loader, batch_size=None, num_workers=workers, persistent_workers=persistent and workers > 0
    )


def orders(batches):
    return [(image[:, 0, 0, 0].long() - 1).tolist() for image, _ in batches]  # see tell_tale_images


def expected(path, epoch, batch_size=16):
    plan = BatchStream(path, split="train", batch_size=batch_size).plan.at_epoch(epoch)
    return [plan[i].tolist() for i in range(len(plan))]


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (3, False), (3, True)])
@pytest.mark.parametrize("given", [0, 1, 2, 7, 22])
def test_it_resumes_exactly_anywhere(path, workers, persistent, given):
    before = load(path, workers, persistent=persistent)
    assert orders(before) == expected(path, 0)
    batches = iter(before)
    assert orders(itertools.islice(batches, given)) == expected(path, 1)[:given]
    state = pickle.loads(pickle.dumps(before.state_dict()))
    after = load(path, workers, persistent=persistent)
    after.load_state_dict(state)
    assert orders(after) == expected(path, 1)[given:]
    assert orders(after) == expected(path, 2)


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
def test_the_state_after_an_epoch_begins_the_next(path, workers, persistent):
    before = load(path, workers, persistent=persistent)
    list(before)
    state = before.state_dict()
    after = load(path, workers, persistent=persistent)
    after.load_state_dict(state)
    assert orders(after) == expected(path, 1)
    assert orders(after) == expected(path, 2)


def test_it_resumes_where_some_workers_have_finished_and_others_have_not(path):
    batches = expected(path, 0, 100)
    assert len(batches) == 4
    for given in range(5):
        before = load(path, 3, batch_size=100)
        rest = iter(before)
        list(itertools.islice(rest, given))
        after = load(path, 3, batch_size=100)
        after.load_state_dict(before.state_dict())
        assert orders(after) == batches[given:]
        assert orders(after) == expected(path, 1, 100)
