"""The project's exceptions: all are a `CalostreamError`, and each is also the built-in exception that fits it."""


def printable(text: str) -> str:
    r"""Return a text with everything but printable characters and line ends escaped, as in ``\x1b``.

    Names from files and keys would otherwise be able to move the cursor, clear the screen or hide text.
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


class CalostreamError(Exception):
    """An error that the user can do something about; the programs print it as one line."""


class SourceError(CalostreamError, ValueError):
    """A source file breaks a rule of its data set."""


class StoreError(CalostreamError, ValueError):
    """A path contains no store that this version can read, or a store cannot be written there."""


class CorruptStoreError(StoreError):
    """A file of a store differs from what was written; the message names the file."""


class PlanError(CalostreamError, ValueError):
    """An argument of a batch plan or stream is out of bounds."""


class StateError(CalostreamError, ValueError):
    """A saved state does not fit the stream, training or ingest that it is loaded into."""


class ConfigError(CalostreamError, ValueError):
    """A setting is out of bounds, or a name is unknown."""


class MissingPackageError(ConfigError, ImportError):
    """A package is not installed; the message names the extra of calostream that brings it."""


class RunError(CalostreamError, ValueError):
    """A run directory or predictions file is missing, incomplete or invalid."""


class RemoteError(CalostreamError, OSError):
    """A remote object cannot be listed, read or written; the message names its URL."""
