"""Reading an input as a user does: with a program, or with a public function."""

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import calostream as cs
from store import console
from tests.examples import Outcome, run_ingest, run_program, texts

RECORDS = ("zarr.json", "image/SHA256SUMS")
"""Files of a store that record the command and the time, and therefore differ between stores."""
SPLITS = ("train", "validation", "test")
ALIKE = "(every attempt fails alike)"


@dataclass(frozen=True)
class Reading:
    """The result of reading an input.

    Attributes
    ----------
    outcome
        Exit status and what was printed.
    made
        Result to compare: two are equal if the same values were read. None if there is nothing to compare.
    left
        Name of an output that was left behind although the program failed; empty if there is none.
    """

    outcome: Outcome
    made: Any = None
    left: str = ""


Reader = Callable[[Path, Path], Reading]
"""Reads the damaged input, given the folder of the case and the input."""


def called(function: Callable[[], Any]) -> Reading:
    """Call a public function, and return its value, or the error as a program would print it."""
    try:
        return Reading(Outcome(0, "", ""), function())
    except (cs.CalostreamError, OSError) as error:
        return Reading(Outcome(1, "", f"error: {console.one_line(error)}"))
    except MemoryError as error:
        return Reading(Outcome(1, "", f"error: MemoryError: {error}"))
    except Exception as error:
        return Reading(Outcome(1, "", f"Traceback: {console.one_line(error)}"))


def hash_of(arrays: Any) -> str:
    """Return a digest of arrays, by name or in order."""
    digest = hashlib.sha256()
    named = sorted(arrays.items()) if hasattr(arrays, "items") else enumerate(arrays)
    for name, values in named:
        values = np.asarray(values)
        if values.dtype.kind in "OT":  # texts; their bytes would be addresses
            values = values.astype(object).astype(str)
        digest.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    return digest.hexdigest()


def store_content(store: Path) -> dict[str, str]:
    """Return the sha256 of each file of a store that depends on nothing but the samples."""
    files = {path.relative_to(store).as_posix(): path for path in store.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name not in RECORDS}


def ingest(*words: object, output: Path) -> Reading:
    outcome = run_ingest(*words, "--output", output)
    if outcome.status:
        return Reading(outcome, left=output.name if output.exists() else "")
    attributes = json.loads((output / "zarr.json").read_text())["attributes"]
    stored = " ".join(texts(attributes))  # attributes must not hold control characters either: programs print them
    content = {**store_content(output), "digest": attributes["content_digest"]}
    return Reading(Outcome(0, outcome.out + stored, outcome.err), content)


def ingest_showers(folder: Path, victim: Path) -> Reading:
    return ingest(victim, folder / "photons.hdf5", output=folder / "made.zarr")


def ingest_jets(folder: Path, victim: Path) -> Reading:
    words = ("--dataset", "quark-gluon", "--split", "0.5,0.25,0.25")
    return ingest(victim, *words, output=folder / "made.zarr")


def resume(folder: Path, victim: Path) -> Reading:
    """Continue an interrupted ingest; attempts may fail again and again only if the message says what to delete."""
    sources = (folder / "electrons.hdf5", folder / "photons.hdf5")
    errors: list[str] = []
    while len(errors) < 3:
        with mock.patch("ingest.cli.print_info"):  # describing the finished store takes a third of the time
            reading = ingest(*sources, output=victim / "store.zarr")
        if reading.outcome.status == 0:
            return reading
        errors.append(reading.outcome.err.splitlines()[-1])
    stuck = len(set(errors)) == 1 and "delete" not in errors[0]
    return Reading(Outcome(1, "", errors[0] + " " + ALIKE * stuck))


def evaluate(*words: object) -> Outcome:
    from evaluate.cli import app

    return run_program(app, "report", *words)


def score(folder: Path, victim: Path, run: str = "run") -> Reading:
    output = folder / "made.csv"
    outcome = evaluate("score", folder / run, victim, "--output", output)
    if outcome.status:
        return Reading(outcome, left=output.name if output.exists() else "")
    return Reading(outcome, output.read_text())


def score_jets(folder: Path, victim: Path) -> Reading:
    return score(folder, victim, "jet-run")


def info(folder: Path, victim: Path) -> Reading:
    return Reading(run_ingest("info", victim))


def verify(folder: Path, victim: Path) -> Reading:
    return Reading(run_ingest("verify", victim, folder / "electrons.hdf5", folder / "photons.hdf5"))


def stream(folder: Path, victim: Path) -> Reading:
    def read() -> list[str]:
        parts = []
        for split in SPLITS:
            batches = cs.BatchStream(victim, split=split, batch_size=16)
            parts += [hash_of((batch.image, batch.label, batch.sample)) for batch in batches]
        return parts

    return called(read)


def dataset(folder: Path, victim: Path) -> Reading:
    """Open a store with xarray, which reads values only later, when it may raise errors of its own."""
    opened = called(lambda: (cs.open_dataset(victim), cs.open_statistics(victim)))
    if opened.outcome.status:
        return opened
    with warnings.catch_warnings(action="ignore"):
        try:
            values = [part.load().variables.items() for part in opened.made]
        except Exception:
            return Reading(Outcome(1, "", f"error: {victim.name}: values cannot be read"))
    return Reading(
        opened.outcome, [hash_of({str(name): variable.values for name, variable in part}) for part in values]
    )
