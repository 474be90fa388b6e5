"""Progress of a report on the terminal: what is being done, and how many of the figures are drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from store import console


class Steps(Protocol):
    """Takes note of the next step: its name, and for figures how many are drawn, and how many there are."""

    def __call__(self, name: str, done: int = 0, total: int | None = None) -> None:
        """Note a step."""


def ignore(name: str, done: int = 0, total: int | None = None) -> None:
    """Take no note of a step."""


@contextmanager
def show_steps() -> Iterator[Steps]:
    """Show steps on standard error, if it is a terminal, until the block ends."""
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24)
    count = TextColumn("{task.fields[count]}", markup=False)
    screen = console.console
    with Progress(*columns, count, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("", total=None, count="")

        def show(name: str, done: int = 0, total: int | None = None) -> None:
            text = f"{done} of {total}" if total else ""
            progress.update(task, description=name, completed=done, total=total, count=text)

        yield show
