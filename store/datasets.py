"""What a data set is: the names in its source files, the shape, channels and classes of its images."""

from dataclasses import dataclass

import numpy as np

from store.errors import ConfigError

FORMAT = "calostream"
FORMAT_VERSION = 1
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
    comment: str
    scale: float = 1.0
    unit: str = "1"
    published: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A number per sample, besides the image and the class.

    Attributes
    ----------
    name
        Name in the source files and in the store.
    long_name
        The quantity.
    units
        Its unit, such as ``GeV``; ``1`` for a pure number.
    """

    name: str
    long_name: str
    units: str


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """The description of a data set.

    Attributes
    ----------
    name
        Name for ``--dataset``.
    title
        One line that describes the data set.
    image_keys
        Names that the images may have in a source file, in order of preference.
    label_key
        Name of the labels in a source file.
    image_shape
        Shape of an image, (ieta, iphi, channel).
    channels
        Channels in the order of the last axis.
    classes
        Names of the classes with the labels 0 and 1. Training and evaluation need exactly two.
    seed
        (ieta, iphi), indices of the cell on which images are centred; coordinates are relative to it.
    variables
        Variables of each sample, which go into the store as columns.
    core
        Distance from `seed`, in cells along either axis, within which the largest value of the first channel is in most
        images, or None if there is no such distance; `ingest` warns if a source is otherwise.

    Raises
    ------
    ConfigError
        If the number of classes is not two, or the number of channels differs from that in `image_shape`.
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

    def __post_init__(self) -> None:
        if len(self.channels) != self.image_shape[2]:
            raise ConfigError(
                f"{self.name}: expected {self.image_shape[2]} channels as in image_shape, got {len(self.channels)}"
            )
        if len(self.classes) != 2:
            raise ConfigError(f"{self.name}: expected exactly 2 classes, got {len(self.classes)}: {self.classes}")

    @property
    def sample_bytes(self) -> int:
        """Size of one image as float32, in bytes."""
        return 4 * int(np.prod(self.image_shape))


ELECTRON_PHOTON = DatasetSpec(
    name="electron-photon",
    title="Electron and photon showers in the CMS electromagnetic calorimeter, 32 x 32 crystals",
    image_keys=("X",),
    label_key="y",
    image_shape=(32, 32, 2),
    channels=(
        Channel(
            name="energy",
            long_name="hit energy",
            comment="value = energy / 50 GeV",
            scale=50.0,
            unit="GeV",
            published=(0.0, 1.48494),
        ),
        Channel(
            name="time",
            long_name="hit time",
            comment="value = time / 50 ns",
            scale=50.0,
            unit="ns",
            published=(-2.5126, 2.278),
        ),
    ),
    classes=("photon", "electron"),
    seed=(16, 16),
    core=0,
)

QUARK_GLUON = DatasetSpec(
    name="quark-gluon",
    title="Quark and gluon jets in the CMS tracker and calorimeters, 125 x 125 crystals",
    image_keys=("X_jets", "X"),
    label_key="y",
    image_shape=(125, 125, 3),
    channels=(
        Channel(
            name="tracks",
            long_name="track transverse momentum",
            comment="as in the files, which state no scale",
            published=(0.0, 10.0),
        ),
        Channel(
            name="ecal",
            long_name="ECAL energy",
            comment="as in the files, which state no scale; noise below 0",
            published=(-0.22, 12.7),
        ),
        Channel(
            name="hcal",
            long_name="HCAL energy",
            comment="as in the files, which state no scale; noise below 0",
            published=(-0.001, 0.133),
        ),
    ),
    classes=("gluon", "quark"),
    seed=(62, 62),
    core=15,
    variables=(
        Variable(name="pt", long_name="jet transverse momentum", units="GeV"),
        Variable(name="m0", long_name="jet mass", units="GeV"),
    ),
)

DATASETS = {spec.name: spec for spec in (ELECTRON_PHOTON, QUARK_GLUON)}


def find_dataset(name: str) -> DatasetSpec:
    """Return the built-in data set with a name.

    Raises
    ------
    ConfigError
        If there is no such data set; the message lists the known ones.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise ConfigError(f"unknown dataset {name!r}; known: {', '.join(DATASETS)}") from None
