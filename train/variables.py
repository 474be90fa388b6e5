"""What a model takes of a sample besides its image: variables of the store, such as a jet's momentum and mass."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from store.errors import ConfigError
from store.opening import Store, open_store
from store.stream import Batch
from train.model.normalisation import Normalisation

Table = npt.NDArray[np.float32]
"""float32 (sample, variable), by position in the store."""


@dataclass(frozen=True, kw_only=True)
class Variables:
    """Inputs beside the image; a model turns them into ``(value - mean) / deviation`` by itself.

    Attributes
    ----------
    names
        Of the store's variables, in the order in which the model takes them.
    mean, deviation
        Of each over the training split, float64.

    Raises
    ------
    ConfigError
        If a variable does not vary.
    """

    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("names", "mean", "deviation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, deviation in zip(self.names, self.deviation, strict=True):
            if not 0 < deviation < np.inf:
                raise ConfigError(f"variable {name!r} has deviation {deviation} in the training split; leave it out")

    @classmethod
    def of(cls, names: Sequence[str], store: Store) -> "Variables":
        """Return variables as the training split of a store has them; raises ConfigError as `read_table`."""
        if not names:
            return cls()
        start, stop = store.split_range("train")
        values = read_table(names, store.path)[start:stop].astype(np.float64)
        return cls(names=tuple(names), mean=tuple(values.mean(0).tolist()), deviation=tuple(values.std(0).tolist()))

    @property
    def normalisation(self) -> Normalisation:
        """What the model does with the values, as with the channels of an image."""
        scale = tuple(1 / deviation for deviation in self.deviation)
        offset = tuple(-mean / deviation for mean, deviation in zip(self.mean, self.deviation, strict=True))
        return Normalisation(recipe="standard", scale=scale, offset=offset)


def read_table(names: Sequence[str], path: Path) -> Table:
    """Return variables of all samples of a store, float32 (sample, variable).

    Raises
    ------
    ConfigError
        If the store has no such variable; the message lists those that it has.
    """
    store = open_store(path)
    known = [variable.name for variable in store.spec.variables]
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown variable {name!r}; {path} has {', '.join(known) or 'no variables'}")
    columns = [np.asarray(store.group[name][...]) for name in names]  # type: ignore[index]
    return np.column_stack(columns)


def inputs(batch: Batch, table: Table | None) -> tuple[npt.NDArray[np.float32], ...]:
    """Return what a model takes of a batch: images and, if there is a table, variables."""
    return (batch.image,) if table is None else (batch.image, table[batch.sample])
