"""What workers agree on, in whatever order they begin."""

import itertools
import multiprocessing
import pickle  # noqa: TID251
from types import SimpleNamespace

import pytest

from train.pytorch.epoch_register import EpochRegister, Position


@pytest.fixture
def join(monkeypatch):
    """Return a function that joins as a worker: its number, the first process of its iteration, the base seed."""

    def join(register, worker, first, seed=11, workers=3):
        monkeypatch.setattr("train.pytorch.epoch_register._process_number", lambda: first + worker)
        return register.join(SimpleNamespace(id=worker, num_workers=workers, seed=seed + worker))

    return join


def test_all_workers_of_an_iteration_begin_at_one_position_and_the_next_one_later(join):
    register = EpochRegister(Position(3, 5))
    assert [join(register, worker, 1) for worker in (2, 0, 1)] == [Position(3, 5)] * 3
    assert [join(register, worker, 4, 12) for worker in (1, 2, 0)] == [Position(4, 0)] * 3


def test_workers_that_live_on_join_one_iteration_after_the_other(join):
    register = EpochRegister(Position(0, 0))
    for epoch in range(50):
        assert [join(register, (worker + epoch) % 3, 1) for worker in range(3)] == [Position(epoch, 0)] * 3


def test_a_worker_that_comes_late_reads_the_epoch_of_its_own_iteration(join):
    register = EpochRegister(Position(0, 0))
    assert join(register, 0, 1) == Position(0, 0)
    assert [join(register, worker, 4, 12) for worker in (1, 0)] == [Position(1, 0)] * 2
    assert join(register, 1, 1) == Position(0, 0)
    assert register.next() == (Position(2, 0), False)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_one_base_seed_for_several_iterations_does_not_mix_them(join, order):
    register = EpochRegister(Position(0, 0))
    assert join(register, 0, 1) == Position(0, 0)  # broken off before its other workers began
    assert [join(register, worker, 4) for worker in order] == [Position(1, 0)] * 3


def test_a_process_that_was_started_in_between_does_not_divide_an_iteration(join):
    register = EpochRegister(Position(0, 0))
    assert [join(register, 0, 1), join(register, 1, 1), join(register, 2, 2)] == [Position(0, 0)] * 3
    assert join(register, 2, 5) == Position(1, 0)


def test_what_is_set_in_between_is_where_the_next_iteration_begins(join):
    register = EpochRegister(Position(0, 0))
    join(register, 0, 1)
    register.begin_at(Position(7, 2))
    assert join(register, 1, 1) == Position(0, 0)
    assert register.next() == (Position(7, 2), True)
    assert register.begin() == Position(7, 2)
    assert register.begin() == Position(8, 0)


def join_as(register, worker, found):
    info = SimpleNamespace(id=worker, num_workers=2, seed=worker)
    found.put((worker, [register.join(info) for _ in range(10)]))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_join_at_once_agree(method):
    context = multiprocessing.get_context(method)
    register, found = EpochRegister(Position(0, 0)), context.Queue()
    processes = [context.Process(target=join_as, args=(register, worker, found)) for worker in range(2)]
    for process in processes:
        process.start()
    positions = dict(found.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    assert positions[0] == positions[1] == [Position(epoch, 0) for epoch in range(10)]


def test_it_cannot_be_pickled_but_for_a_new_process():
    with pytest.raises(TypeError, match="only be given to a process that is being started"):
        pickle.dumps(EpochRegister(Position(0, 0)))
