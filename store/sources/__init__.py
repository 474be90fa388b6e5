"""Source files: HDF5 and Parquet, read through one protocol by one set of rules."""

from typing import TYPE_CHECKING

from store.lazy import lazy_names

if TYPE_CHECKING:
    from store.sources.appearance import describe_oddities
    from store.sources.opening import open_source, open_sources
    from store.sources.source import Source
else:
    __getattr__ = lazy_names(__name__)  # the process of `store.sources.probe` needs none of them

__all__ = ["Source", "describe_oddities", "open_source", "open_sources"]
