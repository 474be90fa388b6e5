"""Is a store what was ingested? Every image against its source bit for bit, every file against its digest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ingest.executors import Executor
from ingest.external_shuffle import Stretch, cut_stretches
from store.datasets import SPLITS
from store.digests import NAME, read_digests, sha256
from store.errors import SourceError
from store.opening import Store, open_store
from store.sample_reader import open_reader
from store.sources.source import open_sources

SHOWN = 5  # differences named in one message


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What `verify` looked at.

    Attributes
    ----------
    files, images
        How many were compared.
    problems
        What is wrong, a line each; empty if nothing is.
    """

    files: int
    images: int
    problems: tuple[str, ...]


def verify(path: Path, sources: Sequence[Path], executor: Executor) -> Verification:
    """Check a store's files against their digests, its arrays against the format, and its images against the sources.

    Parameters
    ----------
    path
        The store.
    sources
        Files it was made from, all or some, in any order; they are known by their sha256.
    workers
        What runs the comparison.

    Raises
    ------
    StoreError
        If the path holds no store, or no record of digests.
    SourceError
        If a source is not one of the store's.
    """
    path = path.absolute()  # a cluster's workers may run elsewhere
    recorded = read_digests(path)
    present = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()} - {NAME}
    problems = [f"{path / name}: not among the recorded digests" for name in sorted(present - recorded.keys())]
    problems += [f"{path / name}: missing" for name in sorted(recorded.keys() - present)]
    common = sorted(present & recorded.keys())
    digests = executor.run(sha256, [(path / name,) for name in common], "digests of files")
    problems += [
        f"{path / name}: sha256 {digest} is not {recorded[name]} as recorded in {NAME}"
        for name, digest in zip(common, digests, strict=True)
        if digest != recorded[name]
    ]
    images = 0
    try:
        store = open_store(path)
        problems += check_format(store)
        if sources:
            calls = _comparisons(store, sources)
            images = int(sum((place >= 0).sum() for _, _, place in calls))
            differences = executor.run(compare, calls, "images against sources")
            problems += [problem for part in differences for problem in part]
    except SourceError:
        raise
    except Exception as error:
        if not problems:  # else it is damage that was named already, and libraries raise anything on damaged bytes
            raise
        problems.append(f"{path}: not looked at any further: {error}")
    return Verification(files=len(common), images=images, problems=tuple(problems))


def check_format(store: Store) -> list[str]:
    """Return where a store departs from format version 1, a line each."""
    group, spec = store.group, store.spec
    samples = store.image.shape[0]
    expected = {
        "image": ("float32", (samples, *spec.image_shape), ("sample", "ieta", "iphi", "channel")),
        "label": ("uint8", (samples,), ("sample",)),
        "split": ("uint8", (samples,), ("sample",)),
        "source_file": ("uint8", (samples,), ("sample",)),
        "source_row": ("int64", (samples,), ("sample",)),
        **{variable.name: ("float32", (samples,), ("sample",)) for variable in spec.variables},
    }
    problems = []
    for name, wanted in expected.items():
        if name not in group:
            problems.append(f"{store.path}: no array {name}")
            continue
        array = group[name]
        found = (str(array.dtype), array.shape, array.metadata.dimension_names)  # type: ignore[union-attr]
        if found != wanted:
            problems.append(f"{store.path / name}: is {found}, the format says {wanted}")
    sizes = [stop - start for start, stop in map(store.split_range, SPLITS)]
    if problems:
        return problems
    split = np.asarray(group["split"][:])  # type: ignore[index]
    if not np.array_equal(split, np.repeat([0, 1, 2], sizes)):
        problems.append(f"{store.path / 'split'}: does not agree with split_ranges")
    file, row = (np.asarray(group[name][:]) for name in ("source_file", "source_row"))  # type: ignore[index]
    rows = np.array([source["rows"] for source in store.attributes["sources"]])
    if file.max() >= rows.size or row.min() < 0 or np.any(row >= rows[file]):
        problems.append(f"{store.path / 'source_row'}: names rows that no source has")
    elif np.unique(row * rows.size + file).size != samples:
        problems.append(f"{store.path / 'source_row'}: two samples are of the same row of the same source")
    return problems


def _comparisons(store: Store, paths: Sequence[Path]) -> list[tuple[Path, Stretch, npt.NDArray[np.int64]]]:
    """Return what to compare: stretches of the sources, and the place in the store of each of their rows, or -1."""
    identities = store.attributes["sources"]
    by_digest = {identity["sha256"]: number for number, identity in enumerate(identities)}
    file = np.asarray(store.group["source_file"][:])  # type: ignore[index]
    row = np.asarray(store.group["source_row"][:])  # type: ignore[index]
    calls = []
    sources = open_sources(paths, store.spec)
    numbers = []
    for source in sources:
        digest = sha256(source.path)
        if digest not in by_digest:
            names = ", ".join(identity["name"] for identity in identities)
            raise SourceError(f"{source.path}: sha256 {digest} is of none of the store's sources ({names})")
        numbers.append(by_digest[digest])
    for at, stretch in cut_stretches(sources):
        places = np.flatnonzero(file == numbers[at])
        place = np.full(sources[at].rows, -1, np.int64)
        place[row[places]] = places
        calls.append((store.path, stretch, place[stretch.start : stretch.stop]))
    return calls


def compare(path: Path, stretch: Stretch, place: npt.NDArray[np.int64]) -> list[str]:
    """Compare what a stretch and the store have of each sample, bit for bit; return differences, a line each.

    Parameters
    ----------
    path
        The store.
    stretch
        Rows of a source.
    place
        int64 (stop - start,), position of each row in the store, or -1 for rows that are not in it.
    """
    store, source = open_store(path), stretch.source
    reader = open_reader(store.image, store.path)
    columns = {"label": source.labels(), **source.variables()}
    pairs = [(values[stretch.start :], np.asarray(store.group[name][:])) for name, values in columns.items()]  # type: ignore[index]
    different: list[int] = []
    for start in range(0, len(place), source.block):
        taken = np.flatnonzero(place[start : start + source.block] >= 0)
        samples = place[start : start + source.block][taken]
        images = source.read(stretch.start + start, min(stretch.stop, stretch.start + start + source.block))[taken]
        stored = np.empty_like(images)
        reader.read(samples, stored)
        same = (stored.view(np.uint32) == images.view(np.uint32)).all(axis=(1, 2, 3))
        for values, stored_values in pairs:
            same &= values[start + taken] == stored_values[samples]
        different += samples[~same].tolist()
    if not different:
        return []
    named = ", ".join(map(str, different[:SHOWN])) + (" ..." if len(different) > SHOWN else "")
    return [f"{path}: {len(different)} samples differ from {source.path.name}: {named}"]
