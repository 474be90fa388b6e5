"""calostream: from source files to a store."""

from typing import TYPE_CHECKING

from store.lazy import lazy_names

if TYPE_CHECKING:
    from ingest.convert import Ingest, ingest
else:
    __getattr__ = lazy_names(__name__)

__all__ = ["Ingest", "ingest"]
