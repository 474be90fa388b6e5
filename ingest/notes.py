"""What the user should know about source files before they are converted."""

from collections.abc import Sequence

from store.console import say
from store.sources import Source, describe_oddities

SHOWN = 5  # names in one line, and files that are warned of in a line each
LONGEST = 40  # characters of a name
WEIGHTS = {"weight", "weights"}


def say_notes(sources: Sequence[Source]) -> None:
    """Say what is converted, left out or looks wrong: a line for what several files have in common."""
    unread = [source for source in sources if source.unread]
    if unread:
        say(describe_unread(unread))
    for line in describe_notes(sources):
        say(line)
    warnings = [warning for warning in map(describe_oddities, sources) if warning]
    for warning in warnings[:SHOWN]:
        say(warning)
    if len(warnings) > SHOWN:
        say(f"warning: the images of {len(warnings) - SHOWN:,} more files look unlike those of {sources[0].spec.name}")


def describe_notes(sources: Sequence[Source]) -> list[str]:
    """Return the notes of some files: a line for each text, which names the first of the files that it is about."""
    noted: dict[str, list[Source]] = {}
    for source in sources:
        if source.note:
            noted.setdefault(source.note.removeprefix(str(source.path)), []).append(source)
    return [f"{_name(about)}{text}" for text, about in noted.items()]


def describe_unread(sources: Sequence[Source]) -> str:
    """Return a line about everything in some files that does not go into the store."""
    names = list(dict.fromkeys(name for source in sources for name in source.unread))
    shown = ", ".join(repr(name[:LONGEST]) for name in names[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    weights = "; weights go into it if the description names them (weight.key)" if WEIGHTS.intersection(names) else ""
    return f"{_name(sources)}: left out of the store: {shown}{more}{weights}"


def _name(sources: Sequence[Source]) -> str:
    others = {1: "", 2: " and 1 more file"}.get(len(sources), f" and {len(sources) - 1:,} more files")
    return f"{sources[0].path}{others}"
