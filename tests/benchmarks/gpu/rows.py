"""What is measured on a GPU: one row for each measurement, the most important first."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FRAMEWORKS = ("torch", "keras")
SHOWERS, JETS = "electron-photon", "quark-gluon"
DATA = {"shower": SHOWERS, "resnet15": SHOWERS, "cnn": SHOWERS, "jet-cnn-deep": JETS}
"""The data set on which each network is trained."""
PRECISIONS = ("float32", "tf32", "bfloat16")
FEEDS = ("resident", "sparse", "stream")
MODES = ("graph", "eager")
UNIT = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large and how long the measurements are.

    Attributes
    ----------
    images
        Training images in the store of each data set.
    batches
        Samples per batch, the most important first.
    networks
        Networks that are trained, the most important first.
    seconds
        Time over which a rate is measured.
    warm_up
        Batches before that, and after it those in which synchronisations are counted.
    copied
        Bytes per copy.
    matrix
        Rows and columns of the matrices that are multiplied.
    peer_images
        Images that other readers get.
    """

    images: Mapping[str, int]
    batches: tuple[int, ...]
    networks: tuple[str, ...]
    seconds: float
    warm_up: int
    copied: int
    matrix: int
    peer_images: int


FULL = Size(
    images={SHOWERS: 348_000, JETS: 32_768},
    batches=(8192, 256, 1024),
    networks=("shower", "jet-cnn-deep", "resnet15", "cnn"),
    seconds=1.5,
    warm_up=12,
    copied=256 * UNIT,
    matrix=8192,
    peer_images=25_000,
)
SMALL = Size(
    images={SHOWERS: 256, JETS: 40},
    batches=(16,),
    networks=("shower",),
    seconds=0.02,
    warm_up=1,
    copied=UNIT // 4,
    matrix=64,
    peer_images=64,
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement.

    Attributes
    ----------
    section
        Table that the row belongs to.
    name
        What is measured, for the table.
    framework
        One of `FRAMEWORKS`.
    command
        Command of `tests.benchmarks.gpu.worker` that measures it.
    arguments
        Arguments of that command.
    seconds
        About how long it takes; if less time is left, it is not measured.
    limit
        After how many seconds it is given up.
    dataset
        The data set whose store the command reads, or None.
    """

    section: str
    name: str
    framework: str
    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 2
    limit: float = 60
    dataset: str | None = None


def rows(size: Size, frameworks: Sequence[str], *, on_gpu: bool, peers: Sequence[str]) -> list[Row]:
    """Return all rows, the most important first."""
    tiers: list[list[Row]] = [[], [], [], []]
    for framework in frameworks:
        tiers[0] += [*rates(size, framework, on_gpu), *feeds(size, framework)]
        training_rows = list(training(size, framework, on_gpu))
        first = [row for row in training_rows if row.arguments["model"] == size.networks[0]]
        later = [row for row in training_rows if row not in first]
        tiers[0] += first[:3]
        tiers[1] += [epoch(size, framework), *dense(size, framework), *first[3:], *later[:4]]
        tiers[2] += later[4:]
        tiers[3] += [auc(size, framework, on_gpu)]
    if "torch" in frameworks:
        tiers[1] += [other for peer in peers for other in peer_rows(size, peer)]
    return [row for tier in tiers for row in tier]


def rates(size: Size, framework: str, on_gpu: bool) -> Iterator[Row]:
    """Yield what the device does without us: copies, filling memory, products of matrices."""
    common = {"section": "rates", "framework": framework, "command": "rate"}
    kinds = {"copy, host to device, pageable": "upload", "copy on the device": "copy", "memset": "fill"}
    if on_gpu and framework == "torch":
        kinds = {"copy, host to device, pinned": "upload pinned", **kinds}
    for name, kind in kinds.items():
        yield Row(name=name, arguments={"kind": kind, "amount": size.copied, "seconds": size.seconds / 4}, **common)
    for precision in PRECISIONS if on_gpu else ("float32", "bfloat16"):
        arguments = {"kind": "product", "precision": precision, "amount": size.matrix, "seconds": size.seconds / 4}
        yield Row(name=f"matrix product, {precision}", arguments=arguments, **common)


def feeds(size: Size, framework: str) -> Iterator[Row]:
    """Yield the feeds alone, with a consumer that does nothing with the batches."""
    known = FEEDS if framework == "torch" else ("resident", "stream")  # Keras has no sparse stream
    for dataset, feed in itertools.product((SHOWERS, JETS), known):
        batch = size.batches[0] if dataset == SHOWERS else size.batches[-1]
        yield Row(
            section="feeds",
            name=f"{dataset}, {feed}",
            framework=framework,
            command="feed",
            arguments={"feed": feed, "batch": batch, "seconds": size.seconds, "warm_up": size.warm_up},
            seconds=6,
            dataset=dataset,
        )


def training(size: Size, framework: str, on_gpu: bool) -> Iterator[Row]:
    """Yield the training of every network, batch size, precision and way of launching, the most important first."""
    precisions = ("bfloat16", "tf32", "float32") if on_gpu else ("float32",)
    choices = [tuple(enumerate(values)) for values in (size.networks, size.batches, precisions, MODES)]
    for chosen in sorted(itertools.product(*choices), key=lambda chosen: sum(rank for rank, _ in chosen)):
        model, batch, precision, mode = (value for _, value in chosen)
        yield Row(
            section="training",
            name=f"{model}, batch {batch:,}, {precision}, {mode}",
            framework=framework,
            command="train",
            arguments={
                "model": model,
                "batch": batch,
                "precision": precision,
                "mode": mode,
                "seconds": size.seconds,
                "warm_up": size.warm_up,
            },
            seconds=6,
            limit=90,
            dataset=DATA[model],
        )


def epoch(size: Size, framework: str) -> Row:
    """Return whole epochs of the first network at the largest batch size."""
    batch = size.batches[0]
    return Row(
        section="epochs",
        name=f"{size.networks[0]}, batch {batch:,}, {size.images[SHOWERS]:,} images",
        framework=framework,
        command="epoch",
        arguments={"model": size.networks[0], "batch": batch, "seconds": size.seconds},
        seconds=12,
        limit=90,
        dataset=SHOWERS,
    )


def dense(size: Size, framework: str) -> Iterator[Row]:
    """Yield ways to read images that are in memory as they are: the simplest loader, and the upper bound."""
    if framework != "torch":
        return
    names = {"loader": "DataLoader over arrays in pinned memory", "resident": "all images dense on the device"}
    for dataset, kind in itertools.product((SHOWERS, JETS), names):
        batch = size.batches[0] if dataset == SHOWERS else size.batches[-1]
        images = size.images[dataset] // (1 if kind == "resident" else 8)
        yield Row(
            section="peers",
            name=f"{dataset}, {names[kind]}",
            framework=framework,
            command="dense",
            arguments={"kind": kind, "batch": batch, "images": images, "dataset": dataset, "seconds": size.seconds},
            seconds=15,
        )


def peer_rows(size: Size, peer: str) -> Iterator[Row]:
    """Yield another reader, whose batches are copied to the device."""
    yield Row(
        section="peers",
        name=f"{SHOWERS}, {peer}",
        framework="torch",
        command="peer",
        arguments={"peer": peer, "images": size.peer_images, "batch": size.batches[-1], "seconds": size.seconds},
        seconds=10,
        limit=45,
        dataset=SHOWERS,
    )


def auc(size: Size, framework: str, on_gpu: bool) -> Row:
    """Return short trainings on the device and on the CPU."""
    epochs = 6 if size is FULL else 1
    return Row(
        section="auc",
        name=f"{size.networks[0]}, {epochs} epochs",
        framework=framework,
        command="auc",
        arguments={"epochs": epochs, "showers": 5500 if size is FULL else 40, "on_gpu": on_gpu},
        seconds=90,
        limit=180,
    )
