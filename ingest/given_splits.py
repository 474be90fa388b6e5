"""Sources that are given by split: the options ``--train``, ``--validation`` and ``--test`` of ``ingest convert``."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import typer
import typer.core

from store.datasets import SPLITS
from store.locations import Location

OPTIONS = tuple(f"--{split}" for split in SPLITS)


class Command(typer.core.TyperCommand):
    """A command whose `OPTIONS` take all words up to the next option: a shell expands ``--train jets/*.h5`` to them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line."""
        return super().parse_args(ctx, list(repeat_options(args)))


def repeat_options(words: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command line, with each of `OPTIONS` repeated for all of its values."""
    option = ""
    for word, following in itertools.pairwise([*words, "-"]):
        if word in OPTIONS and not following.startswith("-"):
            option = word
        elif word.startswith("-"):
            option = ""
            yield word
        else:
            yield from (option, word) if option else (word,)


def choose_given(given: Sequence[list[Location] | None], others: dict[str, Any]) -> list[list[Location]]:
    """Return the files of each split, or an empty list if none are given by split.

    Parameters
    ----------
    given
        Files, folders and patterns for training, validation and test.
    others
        Values of the options that exclude sources by split, by name; all must be as if they were not given.

    Raises
    ------
    typer.BadParameter
        If sources are given for some splits and not for others, or an option that excludes them is given.
    SourceError
        If there is no file for a split.
    """
    from ingest.source_files import find_files

    if not any(given):
        return []
    missing = [option for option, paths in zip(OPTIONS, given, strict=True) if not paths]
    if missing:
        raise typer.BadParameter(f"{', '.join(OPTIONS)} go together: give {' and '.join(missing)} too")
    for name, value in others.items():
        if value not in (None, False, []):
            raise typer.BadParameter(f"{', '.join(OPTIONS)} already divide the samples: leave {name} out")
    return [find_files(paths or []) for paths in given]
