import threading
import time

import numpy as np
import pytest
from dask.base import get_scheduler
from distributed import LocalCluster

from ingest.executors import ThreadExecutor, open_executor
from store.errors import ConfigError, SourceError


def test_results_come_in_the_order_of_the_calls():
    def wait(number):
        time.sleep(0.002 * (number % 3))
        return number

    assert ThreadExecutor(count=3).run(wait, [(number,) for number in range(20)], "waiting") == list(range(20))


@pytest.mark.parametrize(("count", "at_once", "expected"), [(3, None, 3), (3, 2, 2), (2, 5, 2), (1, None, 1)])
def test_no_more_calls_run_at_once_than_asked(count, at_once, expected):
    running, most, lock = set(), [0], threading.Lock()
    together = threading.Barrier(expected, timeout=30)

    def work(number):
        with lock:
            running.add(number)
            most[0] = max(most[0], len(running))
        together.wait()  # passes only once as many calls as expected have arrived
        with lock:
            running.discard(number)

    ThreadExecutor(count=count).run(work, [(number,) for number in range(12)], "working", at_once)
    assert most[0] == expected


def test_an_error_in_a_call_is_the_error_of_the_run():
    def fail(number):
        if number == 3:
            raise SourceError("row 3 is wrong")

    with pytest.raises(SourceError, match="row 3 is wrong"):
        ThreadExecutor(count=2).run(fail, [(number,) for number in range(6)], "failing")


def test_nothing_to_do_is_done():
    assert ThreadExecutor(count=2).run(print, [], "nothing") == []


def test_threads_are_the_default():
    with open_executor() as executor:
        assert isinstance(executor, ThreadExecutor)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "workers=0 is below 1"),
        ({"processes": 2, "scheduler": "tcp://localhost:8786"}, "workers and scheduler exclude each other"),
    ],
)
def test_workers_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigError, match=message), open_executor(**options):
        pass


def test_a_scheduler_that_is_not_there_does_not_take_what_is_computed_later():
    before = get_scheduler()
    with pytest.raises(ConfigError, match="no dask scheduler answers"), open_executor(scheduler="nonsense://nowhere"):
        pass
    assert get_scheduler() is before


def test_a_cluster_computes_only_what_it_is_asked_to():
    before = get_scheduler()
    with open_executor(processes=1) as executor:
        assert executor.run(np.add, [(1, 2), (3, 4)], "adding") == [3, 7]
        assert get_scheduler() is before


def test_a_scheduler_without_workers_is_named(monkeypatch):
    monkeypatch.setattr("ingest.executors.WORKER_TIMEOUT", 0.2)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        pytest.raises(ConfigError, match=r"no worker has joined this scheduler; start one with `dask worker tcp://"),
        open_executor(scheduler=cluster.scheduler_address),
    ):
        pass
