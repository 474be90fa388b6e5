"""Running many independent calls on Dask, with a progress bar."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import dask
import dask.callbacks
import rich.progress

from store.console import console
from store.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Threads of this process.

    Attributes
    ----------
    count
        Calls that run at once.
    """

    count: int = 2

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"workers={self.count} is below 1")

    def run(self, function: Callable[..., T], calls: Sequence[tuple[Any, ...]], description: str) -> list[T]:
        """Call a function once for each tuple of arguments and return the results in that order."""
        tasks = [dask.delayed(functools.partial(function, *call), pure=False)() for call in calls]
        with _Progress(description, len(tasks)):
            return list(dask.compute(*tasks, scheduler="threads", num_workers=self.count))


class _Progress(dask.callbacks.Callback):
    """A progress bar on standard error that counts finished calls."""

    def __init__(self, description: str, total: int) -> None:
        self._bar = rich.progress.Progress(console=console)
        self._task = self._bar.add_task(description, total=total)
        super().__init__(posttask=lambda *_: self._bar.advance(self._task))

    def __enter__(self) -> "_Progress":
        self._bar.start()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._bar.stop()
