"""calostream: from source files to a store."""

from ingest.convert import Ingest, ingest

__all__ = ["Ingest", "ingest"]
