"""All settings of a training run, checked when they are made."""

import dataclasses
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.errors import ConfigError
from store.files import parse_size
from store.plan import SHUFFLES
from train.augmentation import SYMMETRIES
from train.model.architecture import ARCHITECTURES, find_architecture
from train.model.normalisation import RECIPES
from train.schedule import SCHEDULES

AUTO = "auto"
BALANCED = "balanced"
NONE = "none"
DEVICES = (AUTO, "cpu", "cuda")
OPTIMISERS = ("adam", "adamw")
PRECISIONS = ("float32", "bfloat16", "float16")
PLAIN: dict[str, Any] = {
    "normalisation": "none",
    "optimiser": "adam",
    "learning_rate": 1e-3,
    "warm_up": 0.0,
    "weight_decay": 0.0,
    "average": 0.0,
    "augmentation": NONE,
}
PRESETS: dict[str, dict[str, Any]] = {
    "challenge": {
        **PLAIN,
        "model": "cnn",
        "epochs": 50,
        "patience": 4,
        "batch_size": 512,
        "schedule": "plateau",
    },
    "gsoc-resnet15": {
        **PLAIN,
        "model": "resnet15",
        "epochs": 15,
        "patience": 15,
        "batch_size": 32,
        "schedule": "cosine-restarts",
    },
}
STORE = Path("data/electron-photon.zarr")
TYPES: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text"),
    Path: ((str, Path), "a path"),
}
"""What each type of a setting may be given as, and what to call it."""


def setting(default: Any, words: str) -> Any:
    """Return a field of `TrainConfig` with the words that describe it to people."""
    return field(default=default, metadata={"help": words})


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run: the directory to write, and a setting for each flag of the trainers, which says what it does.

    Raises
    ------
    ConfigError
        If a value is out of its bounds, or a name is unknown.
    """

    run: Path
    store: Path = setting(STORE, "The store to train on.")  # noqa: RUF009 (paths do not change)
    model: str = setting("shower", f"One of: {', '.join(ARCHITECTURES)}; or a JSON file that describes one.")
    normalisation: str = setting(
        AUTO, f"First layer of the model; one of: {', '.join(RECIPES)}; auto: log, or none if the model makes features."
    )
    variables: tuple[str, ...] = setting(
        NONE, "Of the store, that the model takes besides the image: none, or names such as pt,m0."
    )
    train_samples: int = setting(0, "Train on the first so many samples of the training split; 0 for all.")
    epochs: int = setting(24, "Most epochs to train.")
    patience: int = setting(24, "Stop after so many epochs without a lower validation loss.")
    batch_size: int = setting(256, "Samples a step on each rank.")
    optimiser: str = setting("adamw", f"One of: {', '.join(OPTIMISERS)}.")
    learning_rate: float = setting(3e-3, "Before the schedule lowers it.")
    schedule: str = setting("cosine", f"Of the learning rate; one of: {', '.join(SCHEDULES)}.")
    warm_up: float = setting(0.5, "Epochs over which the learning rate grows from zero.")
    weight_decay: float = setting(0.05, "Of adamw: share of a weight that a step takes off, relative to the rate.")
    clip_norm: float = setting(0.0, "Bound on the norm of all gradients together; 0 for none.")
    average: float = setting(
        0.999,
        "Judge and export a running mean of the weights that keeps this share a step; 0 for the weights as they are.",
    )
    augmentation: str = setting(
        "flip-ieta", f"Of training images, about the seed cell: none, or one of: {', '.join(SYMMETRIES)}."
    )
    class_weights: str | tuple[float, ...] = setting(NONE, "In the loss: none, balanced, or one a class, as 1,2.5.")
    shuffle: str = setting(
        AUTO, f"One of: {', '.join(SHUFFLES)}; auto: full if memory holds the store's compressed images, else window."
    )
    seed: int = setting(0, "Chooses initial weights, dropout, augmentation and the order of the samples.")
    device: str = setting(AUTO, f"One of: {', '.join(DEVICES)}.")
    precision: str = setting("float32", f"Of the model's arithmetic; one of: {', '.join(PRECISIONS)}.")
    compile: bool = setting(False, "Compile the model: torch.compile, or XLA for Keras.")
    memory: str = setting("512MiB", "Bound on the batches read ahead.")
    threads: int = setting(2, "Threads that decode batches.")
    save_every: float = setting(60.0, "Seconds between checkpoints inside an epoch.")

    def __post_init__(self) -> None:
        check_types(vars(self))
        object.__setattr__(self, "run", Path(self.run))
        object.__setattr__(self, "store", Path(self.store))
        object.__setattr__(self, "variables", parse_names(self.variables))
        object.__setattr__(self, "class_weights", parse_class_weights(self.class_weights))
        find_architecture(self.model)
        self._known("normalisation", (AUTO, *RECIPES))
        self._known("optimiser", OPTIMISERS)
        self._known("schedule", SCHEDULES)
        self._known("augmentation", (NONE, *SYMMETRIES))
        self._known("shuffle", (AUTO, *SHUFFLES))
        self._known("device", DEVICES)
        self._known("precision", PRECISIONS)
        for name in ("epochs", "batch_size", "patience", "threads"):
            self._between(name, 1, 2**31)
        for name in ("warm_up", "clip_norm", "save_every"):
            self._between(name, 0, 1e9)
        self._between("seed", 0, 2**32 - 1)
        self._between("train_samples", 0, 2**62)
        self._between("average", 0, 0.9999999)
        self._between("weight_decay", 0, 1)
        self._between("learning_rate", 1e-12, 1)
        if self.weight_decay and self.optimiser != "adamw":
            raise ConfigError(
                f"weight_decay={self.weight_decay} needs optimiser 'adamw', not {self.optimiser!r}; or give 0"
            )
        parse_size("memory", self.memory)

    def _known(self, name: str, names: Collection[str]) -> None:
        if getattr(self, name) not in names:
            raise ConfigError(f"unknown {name} {getattr(self, name)!r}; known: {', '.join(names)}")

    def _between(self, name: str, least: float, most: float) -> None:
        if not least <= getattr(self, name) <= most:
            raise ConfigError(f"{name}={getattr(self, name)} is not between {least:g} and {most:g}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `from_dict` turns back into an equal configuration."""
        return {**dataclasses.asdict(self), "run": str(self.run), "store": str(self.store)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Return the configuration that `to_dict` described; what a run records beside it is passed over.

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


def check_types(values: Mapping[str, Any]) -> None:
    """Raise ConfigError for a setting whose value is of another type than its default."""
    types = {field.name: field.type for field in dataclasses.fields(TrainConfig)}
    for name, value in values.items():
        kinds, words = TYPES.get(types[name], ((object,), ""))
        if not isinstance(value, kinds) or (isinstance(value, bool) and types[name] is not bool):
            raise ConfigError(f"{name}={value!r} is not {words}")


def parse_names(value: Any) -> tuple[str, ...]:
    """Return the names in ``"pt,m0"`` or a list; ``"none"`` has none.

    Raises
    ------
    ConfigError
        If it is neither, or a name comes twice.
    """
    names = value.split(",") if isinstance(value, str) else value
    if names in ([NONE], [], ()):
        return ()
    if not isinstance(names, (list, tuple)) or not all(names) or len(set(map(str, names))) < len(names):
        raise ConfigError(f"variables={value!r} is neither {NONE} nor distinct names such as pt,m0")
    return tuple(map(str, names))


def parse_class_weights(value: Any) -> str | tuple[float, ...]:
    """Return ``"none"``, ``"balanced"`` or one positive number a class.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if value in (NONE, BALANCED):
        return str(value)
    try:
        weights = tuple(float(weight) for weight in (value.split(",") if isinstance(value, str) else value))
        if all(0 < weight < float("inf") for weight in weights):
            return weights
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"class_weights={value!r} is neither {NONE}, {BALANCED} nor positive numbers such as 1,2.5")


def read_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a TOML file, by name.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not TOML, or has a name that is no setting or a value of another type.
    """
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file that can be read ({error})") from None
    known = [field.name for field in dataclasses.fields(TrainConfig)]
    for name in values:
        if name not in known:
            raise ConfigError(f"{path}: unknown setting {name!r}; known: {', '.join(known)}")
    try:
        check_types(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return values


def preset(name: str) -> dict[str, Any]:
    """Return the settings of a preset.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; known: {', '.join(PRESETS)}")
    return PRESETS[name]
