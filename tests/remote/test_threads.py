"""Threads that wait for servers."""

import threading

import pytest

from store.remote.threads import RequestThreads, interruptible


def test_results_are_in_order_and_from_several_threads_at_once():
    together = threading.Barrier(4)

    def meet(value: int) -> tuple[int, str]:
        together.wait(60)
        return value, threading.current_thread().name

    with RequestThreads(4, "waiting") as threads:
        results = threads.map(meet, range(8))
    assert [value for value, _ in results] == [*range(8)]
    assert {name for _, name in results} == {"waiting"}


def test_an_error_cancels_what_has_not_begun():
    begun = []

    def fail(value: int) -> None:
        begun.append(value)
        raise ValueError(value)

    with RequestThreads(1) as threads:
        threads.submit(begun.append, "first").result()
        waiting, blocked = threading.Event(), threading.Event()
        threads.submit(lambda: (blocked.set(), waiting.wait(60)))
        blocked.wait(60)
        future = threads.submit(fail, 0)
        later = threads.submit(begun.append, "later")
        later.cancel()
        waiting.set()
        with pytest.raises(ValueError, match="0"):
            future.result(60)
        assert threads.submit(len, begun).result(60) == 2
    with RequestThreads(2) as threads, pytest.raises(ValueError, match=r"[0-3]"):
        threads.map(fail, range(4))


def test_only_the_main_thread_waits_for_another_one():
    where = interruptible(threading.current_thread)
    assert where() is not threading.main_thread()
    with RequestThreads(1) as threads:
        assert threads.submit(lambda: where() is threading.current_thread()).result(60)
