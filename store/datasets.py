"""What a data set is: names, axes, channels and classes of its images. Adding a data set means adding a spec."""

from dataclasses import dataclass

import numpy as np

from store.errors import ConfigError

FORMAT = "calostream"
FORMAT_VERSION = 1
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One channel of an image: its coordinate label, what it measures, and how file values relate to physical units."""

    name: str
    long_name: str
    comment: str


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A number that source files give for every sample, under the name that it has in the store."""

    name: str
    long_name: str
    units: str


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """Layout and meaning of a data set's images.

    Attributes
    ----------
    name
        What ``--dataset`` calls it.
    title
        One line for people.
    image_keys
        Names the images may have in a source file, the first one preferred.
    label_key
        Name of the labels in a source file.
    image_shape
        (ieta, iphi, channel).
    channels
        In the order of the last axis.
    classes
        Meaning of labels 0 and 1; everything that is trained or evaluated tells two classes apart.
    seed
        (ieta, iphi) of the cell that the image is centred on; coordinates are offsets from it.
    variables
        What is known of every sample besides its image and class.

    Raises
    ------
    ConfigError
        If there are more or fewer than two classes, or the channels are not those of `image_shape`.
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

    def __post_init__(self) -> None:
        if len(self.channels) != self.image_shape[2]:
            raise ConfigError(f"{self.name}: {len(self.channels)} channels described, image_shape={self.image_shape}")
        if len(self.classes) != 2:
            raise ConfigError(f"{self.name}: classes={self.classes} are {len(self.classes)}, a data set has two")

    @property
    def sample_bytes(self) -> int:
        """Size of one image in float32, in bytes."""
        return 4 * int(np.prod(self.image_shape))


ELECTRON_PHOTON = DatasetSpec(
    name="electron-photon",
    title="Electron and photon showers in the CMS electromagnetic calorimeter, 32 x 32 crystals",
    image_keys=("X",),
    label_key="y",
    image_shape=(32, 32, 2),
    channels=(
        Channel(name="energy", long_name="hit energy", comment="value = energy / 50 GeV"),
        Channel(name="time", long_name="hit time", comment="value = time / 50 ns"),
    ),
    classes=("photon", "electron"),
    seed=(16, 16),
)

QUARK_GLUON = DatasetSpec(
    name="quark-gluon",
    title="Quark and gluon jets in the CMS tracker and calorimeters, 125 x 125 crystals",
    image_keys=("X_jets", "X"),
    label_key="y",
    image_shape=(125, 125, 3),
    channels=(
        Channel(name="tracks", long_name="track transverse momentum", comment="as in the files, which state no scale"),
        Channel(name="ecal", long_name="ECAL energy", comment="as in the files, which state no scale; noise below 0"),
        Channel(name="hcal", long_name="HCAL energy", comment="as in the files, which state no scale; noise below 0"),
    ),
    classes=("gluon", "quark"),
    seed=(62, 62),
    variables=(
        Variable(name="pt", long_name="jet transverse momentum", units="GeV"),
        Variable(name="m0", long_name="jet mass", units="GeV"),
    ),
)

DATASETS = {spec.name: spec for spec in (ELECTRON_PHOTON, QUARK_GLUON)}


def find_dataset(name: str) -> DatasetSpec:
    """Return the description of a data set.

    Raises
    ------
    ConfigError
        If no data set has that name; the message lists those there are.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise ConfigError(f"unknown dataset {name!r}; known: {', '.join(DATASETS)}") from None
