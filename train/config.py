"""All settings of a training run, checked when a configuration is made."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.errors import ConfigError
from store.files import parse_size
from store.locations import Location, Url, locate
from store.plans.shuffles import SHUFFLES
from train.augmentation import SYMMETRIES
from train.model.networks import ARCHITECTURES, find_architecture
from train.model.normalisation import RECIPES
from train.schedule import SCHEDULES
from train.setting_values import NONE, parse_class_weights, parse_cut, parse_names, parse_runs

AUTO = "auto"
DEVICES = (AUTO, "cpu", "cuda", "mps")
STREAM, RESIDENT = "stream", "resident"
FEEDS = (AUTO, STREAM, RESIDENT)
OPTIMISERS = ("adam", "adamw")
PRECISIONS = (AUTO, "float32", "tf32", "bfloat16", "float16")
STORE = Path("data/electron-photon.zarr")

RENAMED = {"average": "ema_decay"}
"""Settings that have been renamed: the new name of each, by the name in older run directories."""
OF_TEACHERS = ("teach", "teach_share")
TYPES: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "text"),
    Path: ((str, Path), "a path"),
    Location: ((str, Path, Url), "a path or a URL"),
}
"""For each type of setting, the types that a value may have, and how an error message describes them."""


def setting(
    default: Any,
    text: str,
    *,
    choices: Collection[str] = (),
    bounds: tuple[float, float] | None = None,
    parse: Callable[[Any], Any] | None = None,
    aliases: Collection[str] = (),
) -> Any:
    """Return a field of `TrainConfig`.

    Parameters
    ----------
    default
        Default value.
    text
        What the setting does, for ``--help``.
    choices
        Allowed names; empty if names are not restricted.
    bounds
        Lowest and highest allowed number; None if numbers are not restricted.
    parse
        Converts what a user wrote into the value, or raises ConfigError.
    aliases
        Other flags for the setting, in addition to its name.
    """
    if choices:
        text = f"{text}: {', '.join(choices)}."
    metadata = {"help": text, "choices": choices, "bounds": bounds, "parse": parse, "aliases": aliases}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one training run; the reference and ``train-torch --help`` describe them.

    Raises
    ------
    ConfigError
        If a value is of the wrong type, out of bounds or an unknown name.

    Examples
    --------
    >>> config = cs.TrainConfig.from_dict({"store": "data/electron-photon.zarr", "run": "runs/mine", "epochs": 3})
    >>> config.epochs
    3
    """

    run: Path
    store: Location = setting(STORE, "Store to train on, a path or a URL.", parse=locate)  # noqa: RUF009 (paths do not change)
    model: str = setting(
        AUTO,
        "Network to train (auto: the one that suits the images, see docs/training.md): auto, "
        f"{', '.join(ARCHITECTURES)}, or a JSON file that describes one.",
    )
    normalisation: str = setting(
        AUTO,
        "First layer of the model (auto: none if the model computes its own features, otherwise log)",
        choices=(AUTO, *RECIPES),
        aliases=("--normalization",),
    )
    variables: tuple[str, ...] = setting(
        NONE,
        "Per-sample variables of the store that the model takes besides the image: none, or names such as pt,m0.",
        parse=parse_names,
    )
    train_samples: int = setting(
        0, "Use only this many samples, from the beginning of the training split; 0 uses all.", bounds=(0, 2**62)
    )
    where: str = setting(
        NONE,
        "Use only samples of each split that pass a cut on per-sample columns: none, or a cut such as "
        "'pt > 100 and m0 < 30'.",
        parse=parse_cut,
    )
    balance: str = setting(
        NONE,
        "Draw the training samples so that classes, or bins of a column, have equal shares: none, class, or a column "
        "such as pt.",
    )
    weight: str = setting(
        AUTO,
        "Per-sample column of the store that weights samples in the loss and the metrics (auto: the weights of the "
        "data set, if it has any): auto, none, or its name.",
    )
    epochs: int = setting(24, "Maximum number of epochs.", bounds=(1, 2**31))
    patience: int = setting(24, "Stop early after this many epochs without a lower validation loss.", bounds=(1, 2**31))
    batch_size: int = setting(256, "Samples per step on each rank (process).", bounds=(1, 2**31))
    optimiser: str = setting("adamw", "Optimiser", choices=OPTIMISERS, aliases=("--optimizer",))
    learning_rate: float = setting(
        3e-3, "Peak learning rate, reached after the warm-up.", bounds=(1e-12, 1), aliases=("--lr",)
    )
    schedule: str = setting("cosine", "Learning-rate schedule", choices=tuple(SCHEDULES))
    warm_up: float = setting(
        0.5, "Epochs during which the learning rate rises linearly from zero; 0 disables it.", bounds=(0, 1e9)
    )
    weight_decay: float = setting(0.3, "Decoupled weight decay (AdamW only).", bounds=(0, 1))
    clip_norm: float = setting(
        0.0, "Clip the global gradient norm to this value; 0 disables clipping.", bounds=(0, 1e9)
    )
    ema_decay: float = setting(
        0.99,
        "Decay of the exponential moving average (EMA) of the weights, which is validated and exported in their place; "
        "0 disables it.",
        bounds=(0, 0.9999999),
    )
    augmentation: str = setting(
        AUTO,
        "Random flips and rotations of the training images about the seed cell (auto: flip-ieta if the seed cell is in "
        "the middle of ieta, otherwise none)",
        choices=(AUTO, NONE, *SYMMETRIES),
    )
    class_weights: str | tuple[float, ...] = setting(
        NONE, "Weight of each class in the loss: none, balanced, or numbers such as 1,2.5.", parse=parse_class_weights
    )
    teach: tuple[str, ...] = setting(
        NONE,
        "Finished runs that teach this one (distillation): the model is trained towards a mix of each label and the "
        "mean probability that these runs give the image. none, or run directories such as runs/a,runs/b.",
        parse=parse_runs,
    )
    teach_share: float = setting(
        0.7,
        "Share of the runs of --teach in what the model is trained towards; the rest is the label.",
        bounds=(0, 1),
    )
    shuffle: str = setting(
        AUTO,
        "Order of the training samples (auto: full if memory can hold the compressed images, otherwise window)",
        choices=(AUTO, *SHUFFLES),
    )
    seed: int = setting(
        0, "Seed of the initial weights, dropout, augmentation and the order of the samples.", bounds=(0, 2**32 - 1)
    )
    device: str = setting(AUTO, "Device to train on (auto: a GPU if there is one)", choices=DEVICES)
    feed: str = setting(
        AUTO,
        "Where the images come from in every epoch: read from the store, or kept in the memory of the device "
        "(auto: resident if there is a GPU with room for them, otherwise stream)",
        choices=FEEDS,
    )
    precision: str = setting(
        AUTO,
        "Floating-point precision of training (auto: bfloat16 if the processor or GPU has instructions for it, "
        "otherwise float32)",
        choices=PRECISIONS,
    )
    compile: bool = setting(False, "Compile the model with torch.compile (PyTorch) or XLA (Keras).")
    cuda_graph: bool = setting(
        True, "Record the steps of an NVIDIA GPU once and replay them as CUDA graphs (PyTorch on one GPU)."
    )
    memory: str = setting(
        "512MiB", "Memory for batches that are decoded ahead of training: bytes, or a size such as 512MiB or 2GB."
    )
    threads: int = setting(2, "Threads that decode batches.", bounds=(1, 2**31))
    save_every: float = setting(60.0, "Seconds between checkpoints within an epoch.", bounds=(0, 1e9))

    def __post_init__(self) -> None:
        for name in SETTINGS:
            object.__setattr__(self, name, check_setting(name, getattr(self, name)))
        if self.weight_decay and self.optimiser != "adamw":
            raise ConfigError(
                f"weight_decay={self.weight_decay} needs optimiser 'adamw', not {self.optimiser!r}; "
                "give --weight-decay 0"
            )
        if not self.teach and self.teach_share != SETTINGS["teach_share"].default:
            raise ConfigError(f"teach_share={self.teach_share} needs runs that teach; give --teach RUN,RUN")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values from which `from_dict` makes an equal configuration; none about teachers without them."""
        values = {**dataclasses.asdict(self), "run": str(self.run), "store": str(self.store)}
        return values if self.teach else {name: value for name, value in values.items() if name not in OF_TEACHERS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Return the configuration that `to_dict` described, in this or an older version; other keys are ignored.

        Raises
        ------
        ConfigError
            If a value is not allowed, or ``run`` is missing.
        """
        current = {RENAMED.get(name, name): value for name, value in values.items()}
        try:
            return cls(**{name: value for name, value in current.items() if name in SETTINGS})
        except TypeError as error:
            raise ConfigError(f"not the configuration of a training run: {error}") from None


SETTINGS = {field.name: field for field in dataclasses.fields(TrainConfig)}
"""The fields of `TrainConfig` by name."""


def check_setting(name: str, value: Any) -> Any:
    """Return the value of one setting in the type that `TrainConfig` keeps.

    Raises
    ------
    ConfigError
        If the value is of the wrong type, out of bounds or an unknown name.
    """
    setting = SETTINGS[name]
    check_type(name, value, setting.type)
    if setting.type is Path:
        return Path(value)
    if parse := setting.metadata.get("parse"):
        return parse(value)
    if (choices := setting.metadata.get("choices")) and value not in choices:
        raise ConfigError(f"unknown {name} {value!r}; known: {', '.join(choices)}")
    if bounds := setting.metadata.get("bounds"):
        lowest, highest = bounds
        if not lowest <= value <= highest:
            raise ConfigError(f"{name}={value} is not between {lowest} and {highest}")
    if name == "memory":
        parse_size(name, value)
    if name == "model" and value != AUTO:
        find_architecture(value)
    return value


def check_type(name: str, value: Any, kind: Any) -> None:
    """Raise ConfigError if the value of a setting does not have the setting's type."""
    allowed, description = TYPES.get(kind, ((object,), ""))
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name}={value!r} is not {description}")
