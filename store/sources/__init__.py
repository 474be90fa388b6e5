"""Source files: HDF5 and Parquet, read through one protocol by one set of rules."""

from store.sources.appearance import describe_oddities
from store.sources.source import Source, open_source, open_sources

__all__ = ["Source", "describe_oddities", "open_source", "open_sources"]
