"""What the user should know about source files before they are converted."""

from collections.abc import Sequence

from store.console import say
from store.sources import Source, describe_oddities

SHOWN = 5  # names in one line
LONGEST = 40  # characters of a name
WEIGHTS = {"weight", "weights"}


def say_notes(sources: Sequence[Source]) -> None:
    """Say what is converted, left out or looks wrong: a line for all names, and lines for each file."""
    unread = [source for source in sources if source.unread]
    if unread:
        say(describe_unread(unread))
    for source in sources:
        for note in filter(None, (source.note, describe_oddities(source))):
            say(note)


def describe_unread(sources: Sequence[Source]) -> str:
    """Return a line about everything in some files that does not go into the store."""
    names = list(dict.fromkeys(name for source in sources for name in source.unread))
    shown = ", ".join(repr(name[:LONGEST]) for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    others = {1: "", 2: " and 1 more file"}.get(len(sources), f" and {len(sources) - 1} more files")
    weights = "; samples of a store have no weights" if WEIGHTS.intersection(names) else ""
    return f"{sources[0].path}{others}: left out of the store: {shown}{more}{weights}"
