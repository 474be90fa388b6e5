"""Requests to end a program: Ctrl-C, SIGTERM and SIGHUP all end it in the same way, so that it cleans up first."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TOGETHER = 1.0  # seconds: a terminal or scheduler may send one request to a process and again to its group


class Interruption:
    """During the ``with`` block, a request to end the program raises KeyboardInterrupt in the main thread.

    A signal that is ignored, as in the background or under ``nohup``, stays ignored.

    Attributes
    ----------
    number : signal.Signals or None
        The signal that was received last.
    """

    def __init__(self) -> None:
        self.number: signal.Signals | None = None
        self._time = float("-inf")
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():  # only this thread may set handlers
            handlers = {number: signal.getsignal(number) for number in NUMBERS}
            self._before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
            for number in self._before:
                signal.signal(number, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        before, self._time = self._time, time.monotonic()
        self.number = signal.Signals(number)
        if self._time - before > TOGETHER:
            raise KeyboardInterrupt

    @property
    def status(self) -> int:
        """Exit status of the program: 1 after Ctrl-C, and 128 plus the number of the signal after another one."""
        return 1 if self.number in (None, signal.SIGINT) else 128 + self.number

    @property
    def text(self) -> str:
        """What happened, for the terminal."""
        return "interrupted" if self.number in (None, signal.SIGINT) else f"ended by {self.number.name}"
