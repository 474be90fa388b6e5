"""Work shared by forked processes."""

import os
import signal
import sys

import pytest

from evaluate.processes import as_completed
from store.errors import ConfigError


@pytest.fixture(params=[1, 3])
def processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("evaluate.processes.count_processors", lambda: request.param)
    return request.param


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_each_item_is_worked_on_once(processors: int, count: int) -> None:
    done = dict(as_completed(lambda item: (item, os.getpid()), [str(number) for number in range(count)]))
    assert {position: item for position, (item, _) in done.items()} == {number: str(number) for number in range(count)}
    used = {process for _, process in done.values()}
    assert len(used) == (min(processors, count) if sys.platform == "linux" else min(1, count))


def test_an_exception_of_the_function_is_raised(processors: int) -> None:
    def fail_at_five(item: int) -> int:
        if item == 5:
            raise OSError(28, "No space left on device", "x.svg")
        return item

    with pytest.raises(OSError, match=r"No space left on device: 'x\.svg'"):
        list(as_completed(fail_at_five, range(10)))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_a_process_that_is_killed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluate.processes.count_processors", lambda: 2)
    with pytest.raises(ConfigError, match="a process ended early"):
        list(as_completed(lambda item: os.kill(os.getpid(), signal.SIGKILL) if item else item, range(4)))
