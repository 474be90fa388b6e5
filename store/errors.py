"""The project's exceptions: one small tree, each also the builtin it stands for."""


class CalostreamError(Exception):
    """Anything that goes wrong for a reason the user can act on; the programs print it as one line."""


class SourceError(CalostreamError, ValueError):
    """An input file breaks a rule of its data set."""


class StoreError(CalostreamError, ValueError):
    """A path does not hold a store that this version can read or write."""


class CorruptStoreError(StoreError):
    """Bytes inside a store are not what was written; the message names the shard."""


class PlanError(CalostreamError, ValueError):
    """A batch plan or stream was asked for something that it cannot give."""


class StateError(CalostreamError, ValueError):
    """A saved state (of a stream or a training run) does not fit what it is loaded into."""


class ConfigError(CalostreamError, ValueError):
    """A configuration value is out of its bounds, or a name is unknown."""


class RunError(CalostreamError, ValueError):
    """A run directory is missing something, or holds something that cannot be used."""
