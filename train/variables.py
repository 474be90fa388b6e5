"""Inputs of a model besides the image: per-sample variables of the store, such as a jet's momentum and mass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from store.arrays import Float32Array
from store.errors import ConfigError
from store.locations import Location
from train.model.normalisation import Normalisation

if TYPE_CHECKING:
    from store.opening import Store
    from store.stream import Batch


@dataclass(frozen=True, kw_only=True)
class VariableInputs:
    """The variables that a model takes besides the image; it standardises them itself.

    Attributes
    ----------
    names
        Names of the store's variables, in the order in which the model takes them.
    mean, deviation
        Mean and standard deviation of each variable over the training split.

    Raises
    ------
    ConfigError
        If a variable is constant in the training split.
    """

    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("names", "mean", "deviation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, deviation in zip(self.names, self.deviation, strict=True):
            if not 0 < deviation < np.inf:
                raise ConfigError(
                    f"variable {name!r} has a standard deviation of {deviation} in the training split; leave it out"
                )

    @classmethod
    def from_store(cls, names: Sequence[str], store: "Store") -> "VariableInputs":
        """Compute mean and standard deviation of variables over the training split of a store.

        Raises
        ------
        ConfigError
            If the store has no such variable, or a variable is constant in the training split.
        """
        if not names:
            return cls()
        start, stop = store.split_range("train")
        values = read_variables(names, store.path)[start:stop].astype(np.float64)
        return cls(names=tuple(names), mean=tuple(values.mean(0).tolist()), deviation=tuple(values.std(0).tolist()))

    @property
    def normalisation(self) -> Normalisation:
        """The layer ``(value - mean) / deviation``, with one channel per variable."""
        scale = tuple(1 / deviation for deviation in self.deviation)
        offset = tuple(-mean / deviation for mean, deviation in zip(self.mean, self.deviation, strict=True))
        return Normalisation(recipe="standard", scale=scale, offset=offset)


def read_variables(names: Sequence[str], path: str | Location) -> Float32Array:
    """Return variables of all samples of a store, float32 (sample, variable), in the order of the store.

    Raises
    ------
    ConfigError
        If the store has no such variable; the message lists the ones it has.
    """
    from store.opening import open_store

    store = open_store(path)
    check_variables(names, store)
    columns = [np.asarray(store.group[name][...]) for name in names]  # type: ignore[index]
    return np.column_stack(columns).astype(np.float32, copy=False)


def check_variables(names: Sequence[str], store: "Store") -> None:
    """Check that a store has the named variables.

    Raises
    ------
    ConfigError
        If the store has no such variable; the message lists the ones it has.
    """
    known = [variable.name for variable in store.spec.variables]
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown variable {name!r}; {store.path} has {', '.join(known) or 'no variables'}")


def model_inputs(batch: "Batch", variables: Float32Array | None) -> tuple[Float32Array, ...]:
    """Return the inputs of a model for a batch: ``(image,)``, or ``(image, variables)``.

    Parameters
    ----------
    batch
        The batch.
    variables
        What `read_variables` returned, or None for a model that takes images alone.
    """
    return (batch.image,) if variables is None else (batch.image, variables[batch.sample])
