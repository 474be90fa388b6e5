"""All settings of a training run, checked when they are made."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask.utils import parse_bytes

from store.errors import ConfigError
from store.plan import SHUFFLES
from train.architecture import ARCHITECTURES
from train.normalisation import RECIPES
from train.schedule import SCHEDULES

AUTO = "auto"
DEVICES = (AUTO, "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run. The defaults are those of the challenge's reference, but for the normalisation.

    Attributes
    ----------
    run
        The run directory to write.
    store
        The store to train on.
    model
        Name of the architecture.
    epochs
        Most epochs to train.
    batch_size
        Samples a step.
    learning_rate
        Of Adam, before the schedule lowers it.
    schedule
        ``plateau`` halves the rate when the validation loss stops falling; ``constant`` does not.
    patience
        Epochs without a lower validation loss after which training stops.
    normalisation
        Recipe of the first layer. The reference took raw images, of which it needs hundreds of thousands to get going.
        On a few thousand, with batches of 64 and a rate of 3e-4, ``log`` learned clearly faster; at 1e-3 the reference
        network often stays at chance there, with ``log`` too.
    shuffle
        Order of the training samples, see `store.BatchPlan`; ``auto`` is what `store.cache.choose_shuffle` says, and
        the run records which.
    seed
        Chooses the initial weights, the dropout and the order of the samples.
    device
        ``cuda``, ``cpu``, or ``auto`` for the first of them that is there.
    memory
        Bound on the batches read ahead.
    threads
        Threads that decode batches.

    Raises
    ------
    ConfigError
        If a value is out of its bounds, or a name is unknown.
    """

    run: Path
    store: Path = Path("data/electron-photon.zarr")
    model: str = "cnn"
    epochs: int = 50
    batch_size: int = 512
    learning_rate: float = 1e-3
    schedule: str = "plateau"
    patience: int = 4
    normalisation: str = "log"
    shuffle: str = AUTO
    seed: int = 0
    device: str = AUTO
    memory: str = "512MiB"
    threads: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "run", Path(self.run))
        object.__setattr__(self, "store", Path(self.store))
        self._known("model", ARCHITECTURES)
        self._known("schedule", SCHEDULES)
        self._known("normalisation", RECIPES)
        self._known("shuffle", (AUTO, *SHUFFLES))
        self._known("device", DEVICES)
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 1), ("threads", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name}={getattr(self, name)} is below {least}")
        if self.seed >= 2**32:
            raise ConfigError(f"seed={self.seed} is not below 2**32")
        if not 0 < self.learning_rate <= 1:
            raise ConfigError(f"learning_rate={self.learning_rate} is not above 0 and at most 1")
        try:
            parse_bytes(self.memory)
        except ValueError:
            raise ConfigError(f"memory={self.memory!r} is not a size such as 512MiB") from None

    def _known(self, field: str, names: Collection[str]) -> None:
        if getattr(self, field) not in names:
            raise ConfigError(f"unknown {field} {getattr(self, field)!r}; known: {', '.join(names)}")

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` turns back into an equal configuration."""
        return {**dataclasses.asdict(self), "run": str(self.run), "store": str(self.store)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Return the configuration that `to_json` described; what a run records beside it is passed over.

        Raises
        ------
        ConfigError
            If a value is out of its bounds, or there is no `run`.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        try:
            return cls(**{name: value for name, value in values.items() if name in names})
        except TypeError as error:
            raise ConfigError(f"not the configuration of a training run: {error}") from None
