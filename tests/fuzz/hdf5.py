"""Damage to the contents of HDF5 files of showers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.fuzz.damage import Damage, Level
from tests.fuzz.values import ESCAPES

SHAPE = (32, 32, 2)
CHUNK = 10
INEXACT = 2**24 + 1  # an integer that float32 does not have

Change = Callable[[np.random.Generator, h5py.File, Any, Any], None]
"""Changes an open file, given its images and labels, which have been removed from it."""
CHANGES: list[Change] = []


def change(function: Change) -> Change:
    CHANGES.append(function)
    return function


def hdf5_structure(random: np.random.Generator, path: Path) -> Damage:
    """Put something else in place of the images, the labels or the attribute."""
    chosen = CHANGES[random.integers(len(CHANGES))]
    with h5py.File(path, "r+") as file:
        images, labels = file["X"][:], file["y"][:]
        del file["X"], file["y"]
        chosen(random, file, images, labels)
        for name, values in (("X", images), ("y", labels)):
            if name not in file and file.get(name, getlink=True) is None and not file.attrs.get(f"no {name}"):
                file.create_dataset(name, data=values, chunks=(CHUNK, *values.shape[1:]), compression="gzip")
        allowed = "no y" in file.attrs  # files without labels can be scored
        for name in ("no X", "no y"):
            file.attrs.pop(name, None)
    return Damage(chosen.__name__, Level.NOBODY if allowed else Level.READING, path.name)


def pick(random: np.random.Generator, choices: Any) -> Any:
    return choices[random.integers(len(choices))]


@change
def many_rows(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    rows = int(pick(random, (10**7, 10**9, 10**10, 2**40)))
    for name, shape in (("X", SHAPE), ("y", ())):
        if name == "y" and random.integers(3) == 0:
            continue
        file.create_dataset(name, (rows, *shape), "f4", chunks=(50, *shape), compression="gzip")


@change
def missing(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file.attrs[pick(random, ("no X", "no y"))] = True


@change
def link(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    target = pick(
        random, (h5py.ExternalLink("gone.hdf5", "X"), h5py.SoftLink("/gone"), h5py.ExternalLink(ESCAPES, "X"))
    )
    file[pick(random, "Xy")] = target


@change
def circular_link(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file[pick(random, "Xy")] = h5py.SoftLink("/loop")
    file["loop"] = h5py.SoftLink("/loop")


@change
def link_inside(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file.create_dataset("here/X", data=images)
    file["X"] = h5py.SoftLink("/here/X")


@change
def virtual(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    name, values = pick(random, (("X", images), ("y", labels)))
    half = len(values) // 2
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    with h5py.File(Path(file.filename).with_name("part.h5"), "w") as part:
        part[name] = values[:half]
    layout[:half] = h5py.VirtualSource("part.h5", name, values[:half].shape)
    if random.integers(2):
        layout[half:] = h5py.VirtualSource("gone.h5", name, values[half:].shape)
    file.create_virtual_dataset(name, layout)


@change
def external_storage(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    name, values = pick(random, (("X", images), ("y", labels)))
    file.create_dataset(name, values.shape, values.dtype, external=[("gone.bin", 0, values.nbytes)])


@change
def group(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file.create_group(pick(random, "Xy"))


@change
def named_type(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file[pick(random, "Xy")] = np.dtype("f4")


@change
def shape(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    shapes = (
        images[..., :1],
        images[:, :31],
        images[0],
        images.reshape(-1),
        np.moveaxis(images, -1, 1),
        np.float32(1),
        images[:, None],
    )
    file["X"] = pick(random, shapes)


@change
def null_space(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file[pick(random, "Xy")] = h5py.Empty("f4")


@change
def image_type(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    kind = pick(random, ("i4", "i8", "c8", "S4", ">f4", "f8", ">f8", np.dtype([("a", "f4")])))
    if isinstance(kind, str):
        values = images.astype(kind) * 0 + INEXACT if kind[0] == "i" else images.astype(kind)
        file.create_dataset("X", data=values, chunks=(7, *SHAPE))
    else:
        file.create_dataset("X", images.shape, kind)


@change
def label_type(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    rows = len(labels)
    kinds = (
        np.full(rows, b"1"), labels + 1j, labels.astype("f8"), labels.astype("i8"), labels.astype("?"), labels[:, None],
        labels[:-1], np.concatenate([labels, labels]), labels * np.nan, labels + 2, labels - 2, labels / 2,
        labels[None], np.full(rows, 2**63 + 1, "u8"), np.stack([labels, labels], 1), np.float32(1),
    )  # fmt: skip
    file["y"] = pick(random, kinds)


@change
def odd_types(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    name, rows = pick(random, "Xy"), len(labels)
    kind = pick(random, (h5py.string_dtype(), h5py.vlen_dtype("f4"), h5py.ref_dtype, h5py.enum_dtype({"a": 0, "b": 1})))
    file.create_dataset(name, (rows, *(SHAPE if name == "X" else ())), kind)


@change
def references(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file["other"] = images
    file.create_dataset("X", data=np.full(len(labels), file["other"].ref, h5py.ref_dtype))


@change
def zero_rows(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file.create_dataset("X", (0, *SHAPE), "f4", maxshape=(None, *SHAPE))
    if random.integers(2):
        file.create_dataset("y", (0,), "f4")


@change
def not_finite(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    images[random.integers(len(images)), 3, 4, 1] = pick(random, (np.nan, np.inf, -np.inf))


@change
def inexact(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    values = images.astype("f8")
    values[random.integers(len(values)), 1, 2, 0] = pick(random, (0.1, 1e300, 1e-320))
    file["X"] = values


@change
def chunking(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    chunks = pick(
        random, ((1, *SHAPE), (7, *SHAPE), (3, 5, 32, 2), (len(images), 4, 4, 1), None, (10, 32, 32, 1), (29, *SHAPE))
    )
    options = pick(random, ({}, {"compression": "gzip"}, {"compression": "lzf"}, {"fletcher32": True}))
    file.create_dataset(
        "X", data=images, chunks=chunks, **({**options, "shuffle": bool(random.integers(2))} if chunks else {})
    )


@change
def room_to_grow(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file.create_dataset("X", data=images, chunks=(64, *SHAPE), maxshape=(None, *SHAPE), compression="gzip")


@change
def chunk_never_written(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    dataset = file.create_dataset(
        "X", images.shape, "f4", chunks=(CHUNK, *SHAPE), compression="gzip", fillvalue=pick(random, (0, 1.5))
    )
    dataset[CHUNK:] = images[CHUNK:]


@change
def raw_chunk(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    dataset = file.create_dataset(
        "X", data=images, chunks=(CHUNK, *SHAPE), compression="gzip", shuffle=bool(random.integers(2))
    )
    dataset.id.write_direct_chunk((0, 0, 0, 0), random.bytes(int(2 ** random.integers(1, 15))), int(random.integers(4)))


@change
def attribute(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    values = (
        np.bytes_("My simulation"), np.array([b"one", b"two"]), ["one", "two"], ESCAPES, "", 5, np.nan, "x" * 60_000,
        h5py.Empty("f4"), file.ref, np.array([[1, 2]]), "two\nlines", np.bytes_(b"\xff\xfe"), np.void(b"\x00\x01"), [],
    )  # fmt: skip
    value = values[random.integers(len(values))]
    file.attrs["simulation"] = (
        np.array(value, dtype=h5py.string_dtype()) if isinstance(value, list) and value else value
    )


@change
def strange_names(random: np.random.Generator, file: h5py.File, images: Any, labels: Any) -> None:
    file.create_group(pick(random, (ESCAPES, "x" * 5000, "two\nlines", "[bold]", "ü")))
    file.attrs["no X"] = True
