"""Running many independent calls on Dask, with a progress bar."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import rich.progress
from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import delayed

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
        tasks = [delayed(functools.partial(function, *call), pure=False)() for call in calls]
        with rich.progress.Progress(console=console) as bar:
            line = bar.add_task(description, total=len(tasks))
            with Callback(posttask=lambda *_: bar.advance(line)):
                return list(compute(*tasks, scheduler="threads", num_workers=self.count))
