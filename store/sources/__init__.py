"""Source files: HDF5 and Parquet, read through one protocol by one set of rules."""

from store.sources.source import Source, open_source, open_sources

__all__ = ["Source", "open_source", "open_sources"]
