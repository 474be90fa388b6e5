"""Reading an input as a user does: with a program, or with a public function."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import calostream as cs
from store import console
from tests.examples import Outcome, run_ingest, run_program, showers
from tests.train.conftest import LineBackend

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
        digest.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    return digest.hexdigest()


def store_content(store: Path) -> dict[str, str]:
    """Return the sha256 of each file of a store that depends on nothing but the samples."""
    files = {path.relative_to(store).as_posix(): path for path in store.rglob("*") if path.is_file()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name not in RECORDS}


def texts(tree: Any) -> Iterator[str]:
    """Yield every text in a tree of JSON values."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from texts(str(key))
            yield from texts(value)


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


def score_with(folder: Path, victim: Path) -> Reading:
    """Score undamaged images with a damaged run."""
    return score(folder, folder / "electrons.hdf5", victim.name)


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


def train(folder: Path, victim: Path) -> Reading:
    from train.baselines.cli import logistic_app

    run = folder / "made"
    outcome = run_program(logistic_app, None, "--store", victim, "--run", run)
    if outcome.status:
        return Reading(outcome)
    return Reading(outcome, [hash_of(dict(np.load(path))) for path in sorted(run.rglob("*.npz"))])


def use_store(run: Path, store: Path) -> None:
    """Make a run refer to this copy of its store."""
    path = run / "environment.json"
    environment = json.loads(path.read_text())
    environment["store"]["path"] = str(store)
    path.write_text(json.dumps(environment))


def occlude(folder: Path, victim: Path) -> Reading:
    use_store(folder / "run", victim)
    outcome = evaluate("occlude", folder / "run", "--samples", 2)
    return Reading(outcome, hash_of(dict(np.load(folder / "run" / "predictions" / "occlusion.npz"))))


def occlude_with(folder: Path, victim: Path) -> Reading:
    """Occlude undamaged images for a damaged run."""
    outcome = evaluate("occlude", victim, "--samples", 2)
    return Reading(outcome)


def report_on_store(folder: Path, victim: Path) -> Reading:
    """Write a report, which must be complete except for what it cannot read of the store, and must say so."""
    use_store(folder / "run", victim)
    return Reading(evaluate("report", folder / "run", "--output", folder / "made"))


def report(folder: Path, victim: Path) -> Reading:
    outcome = evaluate("report", victim, "--output", folder / "made")
    metrics = folder / "made" / "metrics.json"
    return Reading(outcome, json.loads(metrics.read_text()) if outcome.status == 0 else None)


def compare(folder: Path, victim: Path, other: str | None = None) -> Reading:
    output = folder / "made.json"
    other = other or ("trees" if victim.name == "run" else "run")
    outcome = evaluate("compare", victim, folder / other, "--output", output)
    return Reading(outcome, json.loads(output.read_text()) if outcome.status == 0 else None)


def compare_tables(folder: Path, victim: Path) -> Reading:
    return compare(folder, victim, "other.csv")


def trainer() -> Any:
    """Return the program ``train-torch``, which trains a model that needs no framework."""
    from train.options import application

    return application("torch", LineBackend)


def checkpoint(folder: Path, victim: Path) -> Reading:
    from train.checkpoint import Checkpoint

    def read() -> list[str]:
        found = Checkpoint.load(victim)
        state = (found.epoch, found.schedule, found.stopping, dict(found.stream))
        return [repr(state), hash_of(found.arrays), hash_of(found.outputs)]

    return called(read)


def baseline(folder: Path, victim: Path) -> Reading:
    from train.baselines.logistic import Logistic
    from train.baselines.trees import Trees

    images = showers(20)
    kind = Trees if victim.name == "trees.npz" else Logistic
    return called(lambda: hash_of([kind.load(victim.parent).score(images)]))


def resume_training(folder: Path, victim: Path) -> Reading:
    """Continue a training of one epoch for another one."""
    outcome = run_program(trainer(), None, "--run", victim, "--resume", "--epochs", 2, "--device", "cpu")
    if outcome.status:
        return Reading(outcome)
    return Reading(outcome, hash_of(dict(np.load(victim / "predictions" / "test.npz"))))


def start_training(*words: object) -> Reading:
    """Start ``train-torch`` up to where it would build the model."""
    from train.options import application

    def stop(*_: object) -> Any:
        raise cs.CalostreamError("this would be trained")

    outcome = run_program(application("torch", stop), None, *words)
    accepted = outcome.err.endswith("error: this would be trained\n")
    return Reading(Outcome(0, outcome.out, "") if accepted else outcome)


def architecture(folder: Path, victim: Path) -> Reading:
    return start_training("--store", folder / "showers.zarr", "--run", folder / "made", "--model", victim)


def settings(folder: Path, victim: Path) -> Reading:
    return start_training("--config", victim, "--store", folder / "showers.zarr", "--run", folder / "made")
