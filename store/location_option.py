"""Options and arguments of programs that take a path or a URL."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from store.errors import ConfigError
from store.locations import Location, locate

if TYPE_CHECKING:
    Place = Location
else:
    Place = Path  # Typer takes no unions; the values are what `parse_place` returns


def parse_place(text: str | Location) -> Location:
    """Return the location that an option or argument names; the ``parser`` of each of type `Place`.

    Raises
    ------
    typer.BadParameter
        If it is a URL of an unknown kind.
    """
    try:
        return locate(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None
