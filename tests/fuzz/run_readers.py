"""Reading runs, and what trainings read, as a user does: with a program, or with a public function."""

import json
from pathlib import Path
from typing import Any

import numpy as np

import calostream as cs
from tests.examples import Outcome, run_program, showers
from tests.fuzz.readers import Reading, called, evaluate, hash_of, score
from tests.train.conftest import LineBackend


def score_with(folder: Path, victim: Path) -> Reading:
    """Score undamaged images with a damaged run."""
    return score(folder, folder / "electrons.hdf5", victim.name)


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
