"""The options of all programs that say where copies of remote files are kept, and how many bytes of them."""

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from store.files import parse_size
from store.remote.cache import FOLDER, SIZE

CacheFolder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help=f"Folder for copies of what is read from URLs; by default that of {FOLDER}, or of the user.",
    ),
]
CacheSize: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cache-size",
        metavar="SIZE",
        help="Largest size of this folder, such as 200GB; what was used longest ago is deleted. "
        "By default half of the free space.",
    ),
]


def use_cache(folder: Path | None, size: str | None) -> None:
    """Set the cache of this process and of those that it starts; None leaves it as it is.

    Raises
    ------
    ConfigError
        If the size is none.
    """
    if folder is not None:
        os.environ[FOLDER] = str(folder.expanduser().absolute())
    if size is not None:
        os.environ[SIZE] = str(parse_size("--cache-size", size))
