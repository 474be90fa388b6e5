"""What a data set is: the names in its source files, the shape, channels and classes of its images.

A data set is described in a TOML file (``--dataset FILE.toml``); the built-in ones are such files in ``built_in``. A
store has a copy of the description, so that whatever reads a store needs no file and no name.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from store import descriptions
from store.errors import ConfigError, printable
from store.locations import Url, locate

BUILT_IN = Path(__file__).parent / "built_in"
LARGEST_FILE = 1 << 18  # bytes of a description; hundreds of channels take less
DEEP_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){20}""")
FORMAT = "calostream"
FORMAT_VERSION = 2  # of new stores
READABLE_VERSIONS = (1, 2)
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One channel of an image.

    Attributes
    ----------
    name
        Label of the channel on the axis ``channel``.
    long_name
        The measured quantity.
    comment
        How values in the files relate to physical units, for readers.
    scale
        What a value in the files is multiplied by to be in units of `unit`.
    unit
        Unit of the scaled value, such as ``GeV``; ``1`` if the files state none.
    published
        Smallest and largest value of the published files, or None if there are none.
    """

    name: str
    long_name: str
    comment: str = ""
    scale: float = 1.0
    unit: str = "1"
    published: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A number per sample, besides the image and the class.

    Attributes
    ----------
    name
        Name in the store.
    long_name
        The quantity.
    units
        Its unit, such as ``GeV``; ``1`` for a pure number.
    key
        Name in the source files; by default `name`.
    """

    name: str
    long_name: str
    units: str
    key: str = ""

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", self.name)


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """The description of a data set.

    Attributes
    ----------
    name
        Name of the data set; by default, its store is ``data/NAME.zarr``.
    title
        One line that describes the data set.
    image_keys
        Names that the images may have in a source file, in order of preference.
    label_key
        Name of the labels in a source file; empty if files have none, and `ingest` is told the class of each file.
    image_shape
        Shape of an image, (ieta, iphi, channel).
    channels
        Channels in the order of the last axis.
    classes
        Names of the classes in the order of their labels, which count from 0; two or more.
    seed
        (ieta, iphi), indices of the cell on which images are centred; coordinates are relative to it.
    variables
        Variables of each sample, which go into the store as columns.
    core
        Distance from `seed`, in cells along either axis, within which the largest value of the first channel is in most
        images, or None if there is no such distance; `ingest` warns if a source is otherwise.
    rounded
        Whether values that float32 does not have exactly are rounded to the nearest that it has; otherwise they are
        refused.
    layout
        Whether an image has its channels on the first or on the last axis in source files, ``channel-first`` or
        ``channel-last``. None means as usual for the format: first in the nested lists of Parquet, otherwise last.
    label_values
        What source files have as label for each class, in the order of `classes`, such as (-1, 1). None means that they
        have the number of the class, its name, or one column per class.
    weight_key
        Name of the weight of each sample in a source file, which is the column ``weight`` of a store, or None if
        samples have no weights.
    model
        Name of the network that the trainers build by default, or None to choose it by size of image.

    Raises
    ------
    ConfigError
        If a value breaks a rule; see `store.descriptions`.
    """

    name: str
    title: str
    image_keys: tuple[str, ...]
    label_key: str
    image_shape: tuple[int, int, int]
    channels: tuple[Channel, ...]
    classes: tuple[str, ...]
    seed: tuple[int, int]
    variables: tuple[Variable, ...] = ()
    core: int | None = None
    rounded: bool = False
    layout: str | None = None
    label_values: tuple[int | str, ...] | None = None
    weight_key: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        descriptions.parse(self.to_dict())

    @property
    def sample_bytes(self) -> int:
        """Size of one image as float32, in bytes."""
        return 4 * int(np.prod(self.image_shape))

    @classmethod
    def from_dict(cls, values: Any) -> "DatasetSpec":
        """Return the data set that the values of a description stand for.

        Raises
        ------
        ConfigError
            If the description breaks a rule; the message names the key, the value and the rule.
        """
        description = descriptions.parse(values)
        image = description.image
        return cls(
            name=description.name,
            title=description.title,
            image_keys=tuple(image.keys),
            label_key=description.label.key or "",
            image_shape=image.shape,
            channels=tuple(
                Channel(
                    name=channel.name,
                    long_name=channel.long_name or channel.name,
                    comment=channel.comment,
                    scale=channel.scale,
                    unit=channel.unit,
                    published=channel.published,
                )
                for channel in image.channels
            ),
            classes=tuple(description.label.classes),
            seed=image.seed or (image.shape[0] // 2, image.shape[1] // 2),
            variables=tuple(
                Variable(name=v.name, long_name=v.long_name or v.name, units=v.unit, key=v.key or v.name)
                for v in description.variables
            ),
            core=image.core,
            rounded=image.round,
            layout=image.layout,
            label_values=None if description.label.values is None else tuple(description.label.values),
            weight_key=description.weight.key if description.weight else None,
            model=description.train.model if description.train else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON types, from which `from_dict` makes an equal data set."""
        image = {
            "keys": list(self.image_keys),
            "shape": list(self.image_shape),
            "layout": self.layout,
            "seed": list(self.seed),
            "core": self.core,
            "channels": [
                {
                    "name": channel.name,
                    "long_name": channel.long_name,
                    "unit": channel.unit,
                    "scale": channel.scale,
                    "comment": channel.comment,
                    "published": channel.published and list(channel.published),
                }
                for channel in self.channels
            ],
            **({"round": True} if self.rounded else {}),  # a key that version 0.2.0 does not read
        }
        return {
            "name": self.name,
            "title": self.title,
            "image": image,
            "label": {
                "key": self.label_key or None,
                "classes": list(self.classes),
                "values": self.label_values and list(self.label_values),
            },
            "variables": [
                {"name": v.name, "key": v.key, "long_name": v.long_name, "unit": v.units} for v in self.variables
            ],
            "weight": self.weight_key and {"key": self.weight_key},
            "train": self.model and {"model": self.model},
        }


def read_dataset(path: Path) -> DatasetSpec:
    """Read the description of a data set from a TOML file; docs/data-sets.md lists what it can say.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not TOML, or the description breaks a rule; the message names the file, the key
        and the rule.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: is not a file" if path.exists() else f"{path}: no such file")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE:,} bytes, the most that a description may have")
        text = content.decode("utf-8-sig")
        if DEEP_KEY.search(text):  # tomllib would take time that grows with the square of the depth
            raise ValueError("keys are nested too deeply")
        values = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # ValueError also for a number of too many digits
        raise ConfigError(f"{path}: not a readable TOML file ({printable(str(error))})") from None
    try:
        return DatasetSpec.from_dict(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


DATASETS = {path.stem: read_dataset(path) for path in sorted(BUILT_IN.glob("*.toml"))}
"""The built-in data sets by name."""
ELECTRON_PHOTON = DATASETS["electron-photon"]
QUARK_GLUON = DATASETS["quark-gluon"]


def find_dataset(name: str | Path) -> DatasetSpec:
    """Return a data set: a built-in one by its name, or that of a TOML file; see `read_dataset`.

    Parameters
    ----------
    name
        Name of a built-in data set, or path of a TOML file.

    Returns
    -------
    DatasetSpec
        The data set.

    Raises
    ------
    ConfigError
        If there is no such data set; the message lists the built-in ones. If the description in the file breaks a rule,
        or has the name of a built-in data set and is another one; or if it is at a URL.

    Examples
    --------
    >>> cs.find_dataset("electron-photon").classes
    ('photon', 'electron')
    """
    if str(name) in DATASETS:
        return DATASETS[str(name)]
    path = locate(name)
    if isinstance(path, Url):
        raise ConfigError(f"{path}: a description of a data set must be a file of this machine; copy it here")
    if path.suffix != ".toml" and not path.exists():
        known = ", ".join(DATASETS)
        raise ConfigError(f"unknown dataset {str(name)!r}; known: {known}, or the name of a description, FILE.toml")
    spec = read_dataset(path)
    if spec.name in DATASETS and spec != DATASETS[spec.name]:
        raise ConfigError(f"{path}: name = {spec.name!r}: is the name of a built-in data set; choose another")
    return spec


def stored_dataset(attributes: Mapping[str, Any]) -> DatasetSpec:
    """Return the data set of a store, from attributes of its root group or from what a run directory repeats of them.

    This is the only place that looks up a name, for stores that were made before they had a description.

    Raises
    ------
    ConfigError
        If the description breaks a rule or names another data set, or there is none and the name is not built in.
    """
    name = attributes["dataset"]
    if "description" not in attributes:
        if name not in DATASETS:
            raise ConfigError(f"unknown dataset {name!r}; known without a description: {', '.join(DATASETS)}")
        return DATASETS[name]
    spec = DatasetSpec.from_dict(attributes["description"])
    if spec.name != name:
        raise ConfigError(f"the description is of {spec.name!r}, the attribute dataset says {name!r}")
    return spec
