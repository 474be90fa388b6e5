"""Tables of numbers that no terminal is too narrow for."""

from collections.abc import Iterator, Sequence

import rich.box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from store.console import printable

GAP = 2  # spaces between columns
NAMES_WIDTH = 20  # least width that names are folded to, together


class NumberTable:
    """A table of numbers with their names. Where it is too wide, names are folded, then the numbers are split.

    The parts stand below each other, each with the names. No number is cut off or broken.

    Parameters
    ----------
    title
        Text above the table.
    names, numbers
        Headings of the columns with names and of those with numbers.
    caption
        Text below the table.
    """

    def __init__(self, title: str, names: Sequence[str], numbers: Sequence[str], caption: str = "") -> None:
        self.caption = caption
        self._title, self._names, self._numbers = title, list(names), list(numbers)
        self._rows: list[list[str]] = []

    def add_row(self, *cells: str) -> None:
        """Add a row of names and numbers."""
        self._rows.append([printable(cell) for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield one table, or as many as the width needs."""
        parts = list(self._parts(options.max_width))
        for number, columns in enumerate(parts):
            table = Table(box=rich.box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0))
            for heading in self._names:
                table.add_column(heading, overflow="fold")
            for column in columns:
                table.add_column(self._numbers[column], justify="right", no_wrap=True)
            first = len(self._names)
            for row in self._rows:
                table.add_row(*map(Text, row[:first]), *(Text(row[first + column]) for column in columns))
            yield Text(f"\n{self._title}" if number == 0 else "", style="italic")
            yield table
        if self.caption:
            yield Text(self.caption, style="dim italic")

    def _parts(self, room: int) -> Iterator[list[int]]:
        """Yield the numbers of the columns of each part."""
        columns = zip(*([*self._names, *self._numbers], *self._rows), strict=True)
        widths = [max(cell_len(line) for cell in column for line in cell.split("\n")) + GAP for column in columns]
        first = len(self._names)
        room += GAP - min(sum(widths[:first]), NAMES_WIDTH)
        part: list[int] = []
        for column, width in enumerate(widths[first:]):
            if part and sum(widths[first + c] for c in part) + width > room:
                yield part
                part = []
            part.append(column)
        yield part
