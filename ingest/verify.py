"""Verifying a store: every image against its source, bit for bit, and every file against its digest."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ingest.executors import Executor
from ingest.external_shuffle import Part, Stretch, cut_stretches, positions_of_rows
from ingest.identity import digest_files, find_sources, location_of
from store.arrays import Int64Array
from store.datasets import SPLITS
from store.digests import DIGESTS_FILE, parse_digests, read_digests
from store.errors import CorruptStoreError, SourceError
from store.files import sha256
from store.integrity import check_attributes, check_content_digest, check_lengths
from store.locations import Location, Url
from store.opening import Store, open_unchecked
from store.readers.sample_reader import SampleReader, open_reader
from store.remote.mirror import LISTS_NOTHING, read_record
from store.remote.objects import open_objects
from store.remote.ranges import object_sha256
from store.sample_columns import WEIGHT, column_types, content_columns
from store.sources import Source, open_sources
from store.sources.copies import here
from store.sources.opening import open_tried

SHOWN = 5  # samples named in one message


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Result of `verify`.

    Attributes
    ----------
    files, images
        Number of files and number of images that were compared.
    samples
        Number of images in the store, 0 if it cannot be opened.
    problems
        One line for each problem; empty if there is none.
    """

    files: int
    images: int
    samples: int
    problems: tuple[str, ...]


def verify(path: Location, sources: Sequence[Location], executor: Executor) -> Verification:
    """Compare a store's files with their digests, its arrays with the format, and its images with the sources.

    Parameters
    ----------
    path
        The store.
    sources
        Files that it was made from, on this machine or at URLs, all or some of them, in any order; they are recognised
        by their sha256.
    executor
        Runs the comparisons.

    Raises
    ------
    StoreError
        If the path holds no store, or no record of digests.
    SourceError
        If a file is not one of the store's sources.
    """
    path = path if isinstance(path, Url) else path.absolute()  # workers of a cluster may run in another folder
    files, problems = _compare_files(path, executor)
    images = samples = 0
    with _accept_known_damage(path, problems):
        store = open_unchecked(path)
        samples = store.image.shape[0]
        problems += check_format(store)
        if sources:
            comparisons = _plan_comparisons(store, sources, executor)
            images = int(sum((positions >= 0).sum() for _, _, positions in comparisons))
            for differences in executor.run(compare_stretch, comparisons, "images against sources"):
                problems += differences
        if not problems:
            problems += _check_content_digest(store)
    return Verification(files=files, images=images, samples=samples, problems=tuple(problems))


def _compare_files(path: Location, executor: Executor) -> tuple[int, list[str]]:
    """Return how many files were compared with their digests, and one line for each problem."""
    recorded, present = _list_remote(path) if isinstance(path, Url) else _list_local(path)
    problems = [f"{path / name}: not among the recorded digests" for name in sorted(present - recorded.keys())]
    problems += [f"{path / name}: missing" for name in sorted(recorded.keys() - present)]
    names = sorted(present & recorded.keys())
    digests = executor.run(digest_file, [(path / name,) for name in names], "digests of files")
    for name, digest in zip(names, digests, strict=True):
        if digest is None:
            problems.append(f"{path / name}: missing")
        elif digest != recorded[name]:
            problems.append(f"{path / name}: sha256 {digest} is not {recorded[name]} as recorded in {DIGESTS_FILE}")
    return len(names), problems


def _list_local(path: Path) -> tuple[dict[str, str], set[str]]:
    """Return the recorded digests of a store, and the names of the files that are there."""
    present = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    return read_digests(path), present - {DIGESTS_FILE}


def _list_remote(url: Url) -> tuple[dict[str, str], set[str]]:
    """Return the same of a store at a URL; a server that lists no files may have all that are recorded."""
    objects = open_objects(url)
    _, record = read_record(objects)
    recorded = parse_digests(record, url / DIGESTS_FILE)
    present = set(recorded) if url.scheme in LISTS_NOTHING else set(objects.list())
    return recorded, present - {DIGESTS_FILE}


def digest_file(path: Location) -> str | None:
    """Return the sha256 of a file, or None if it is missing; one at a URL is read there, not from the cache."""
    try:
        return object_sha256(path) if isinstance(path, Url) else sha256(path)
    except FileNotFoundError:
        return None


@contextmanager
def _accept_known_damage(path: Location, problems: list[str]) -> Iterator[None]:
    """Turn an error into one more problem if there are problems already, since they explain it.

    Libraries raise errors of any kind when they read damaged files. In a store without known damage an error is
    unexpected, and an error of a source never comes from the store: both are raised.
    """
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        if not problems:
            raise
        problems.append(f"{path}: not checked any further: {error}")


def check_format(store: Store) -> list[str]:
    """Return one line for each way in which a store departs from its format."""
    check_attributes(store)
    check_lengths(store)
    return _check_arrays(store) or _check_columns(store)


def _check_arrays(store: Store) -> list[str]:
    """Compare the types, shapes and dimensions of all arrays with the format."""
    samples = store.image.shape[0]
    columns = column_types(store.spec, len(store.attributes["sources"]))
    expected = {
        "image": (("float32",), (samples, *store.spec.image_shape), ("sample", "ieta", "iphi", "channel")),
        **{name: (types, (samples,), ("sample",)) for name, types in columns.items()},
    }
    problems = []
    for name, (types, *wanted) in expected.items():
        array = store.array(name)
        actual = [array.shape, array.metadata.dimension_names]  # type: ignore[union-attr]
        if str(array.dtype) not in types or actual != wanted:
            found, rule = (str(array.dtype), *actual), (" or ".join(types), *wanted)
            problems.append(f"{store.path / name}: is {found}, the format says {rule}")
    return problems


def _check_columns(store: Store) -> list[str]:
    """Check that the columns of splits and of sources agree with the attributes."""
    problems = []
    sizes = [stop - start for start, stop in map(store.split_range, SPLITS)]
    if not np.array_equal(_column(store, "split"), np.repeat([0, 1, 2], sizes)):
        problems.append(f"{store.path / 'split'}: does not agree with split_ranges")
    file, row = _column(store, "source_file"), _column(store, "source_row")
    rows = np.array([source["rows"] for source in store.attributes["sources"]])
    if file.max() >= rows.size or row.min() < 0 or np.any(row >= rows[file]):
        problems.append(f"{store.path / 'source_row'}: names rows that no source has")
    elif np.unique(row * rows.size + file).size != row.size:
        problems.append(f"{store.path / 'source_row'}: two samples are of the same row of the same source")
    return problems


def _check_content_digest(store: Store) -> list[str]:
    try:
        check_content_digest(store, read_digests(store.folder), list(map(store.column, content_columns(store.spec))))
    except CorruptStoreError as error:
        return [str(error)]
    return []


def _column(store: Store, name: str) -> npt.NDArray[Any]:
    return store.column(name)


def _plan_comparisons(
    store: Store, locations: Sequence[Location], executor: Executor
) -> list[tuple[Location, Stretch, Int64Array]]:
    """Return the arguments of all calls of `compare_stretch`."""
    numbers, sources = _open_recorded(store, locations, executor)
    rows = [identity["rows"] for identity in store.attributes["sources"]]
    positions = positions_of_rows(_column(store, "source_file"), _column(store, "source_row"), rows)
    selected = [positions[number] for number in numbers]
    return [(store.path, stretch, stretch.select(selected)) for stretch in cut_stretches(sources)]


def _open_recorded(store: Store, locations: Sequence[Location], executor: Executor) -> tuple[list[int], list[Source]]:
    """Return which of a store's sources some files are, and the opened files."""
    identities, classes = store.attributes["sources"], store.spec.classes
    told = any("class" in identity for identity in identities)  # by the user, for files without labels
    sources = open_sources(locations, store.spec, [0] * len(locations) if told else None)  # the class is not yet known
    numbers = find_sources(identities, sources, digest_files(sources, executor))
    if told:
        names = [identities[number]["class"] for number in numbers]
        pairs = zip(sources, names, strict=True)
        sources = [
            open_tried(source.path, store.spec, told=classes.index(name), url=source.url) for source, name in pairs
        ]
    return numbers, sources


def compare_stretch(path: Location, stretch: Stretch, positions: Int64Array) -> list[str]:
    """Compare images, labels, variables and weights of a stretch with those in the store, bit for bit.

    Parameters
    ----------
    path
        The store.
    stretch
        Rows of sources.
    positions
        int64 (rows,), position of each row in the store, or -1 for rows that are not in it.

    Returns
    -------
    list of str
        One line for each source with samples that differ, which names the first of them.
    """
    store = open_unchecked(path)
    reader = open_reader(store.image, store.shards)
    columns: dict[str, npt.NDArray[Any]] = {}
    problems = []
    for part in stretch.parts:
        different = _compare_part(store, reader, part, positions[: part.rows], columns)
        positions = positions[part.rows :]
        if different:
            named = ", ".join(map(str, different[:SHOWN])) + (" ..." if len(different) > SHOWN else "")
            problems.append(f"{path}: {len(different)} samples differ from {location_of(part.source)}: {named}")
    return problems


def _compare_part(
    store: Store, reader: SampleReader, part: Part, positions: Int64Array, columns: dict[str, npt.NDArray[Any]]
) -> list[int]:
    """Return the samples of the store that differ from their rows; `columns` keeps what is read of the store."""
    source = here(part.source)
    weights = source.weights()
    read = {"label": source.labels(), **source.variables(), **({} if weights is None else {WEIGHT: weights})}
    pairs = []
    for name, values in read.items():
        if name not in columns:
            columns[name] = _column(store, name)
        stored_type = columns[name].dtype  # format version 1 has integers as float32
        pairs.append((values[part.start : part.stop].astype(stored_type), columns[name]))
    different: list[int] = []
    start = 0
    for piece in source.pieces(part.start, part.stop):
        wanted = positions[start : start + len(piece)]
        rows = np.flatnonzero(wanted >= 0)
        samples, images = wanted[rows], piece[rows]
        stored = np.empty_like(images)
        reader.read(samples, stored)
        same = (stored.view(np.uint32) == images.view(np.uint32)).all(axis=(1, 2, 3))
        for values, stored_values in pairs:
            same &= values[start + rows] == stored_values[samples]
        different += samples[~same].tolist()
        start += len(piece)
    return different
