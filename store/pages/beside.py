"""Where the page of a store is, which `ingest page` writes and a report links to."""

from pathlib import Path

from store.locations import Location

GENERATOR = "calostream ingest page"
"""What a page of a store names as its generator, near its beginning."""

BEGINNING = 1000  # characters of a page within which its generator is named


def page_path(store: Location) -> Path:
    """Return where the page of a store is by default: beside it, or in the current folder for a store at a URL."""
    folder = store.parent if isinstance(store, Path) else Path()
    return folder / f"{store.name.removesuffix('.zarr') or 'store'}.html"


def is_page(path: Path) -> bool:
    """Return whether a file is a page of a store."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return f'content="{GENERATOR}"' in file.read(BEGINNING)
    except OSError:
        return False
