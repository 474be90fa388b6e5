"""Finished runs that teach another one: their models score its training images, once, before it starts.

Distillation, see G. Hinton, O. Vinyals and J. Dean, *Distilling the Knowledge in a Neural Network*,
https://arxiv.org/abs/1503.02531.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.arrays import Float64Array
from store.datasets import SPLITS, DatasetSpec, stored_dataset
from store.errors import RunError
from store.files import sha256
from store.model_process import open_model
from store.opening import Store
from store.predictions import SUM_TOLERANCE
from store.run_folder import MODEL_FILES, RunFolder
from store.stream import BatchStream
from train.config import TrainConfig
from train.progress import announce, watch_images
from train.teacher_scores import TeacherScores
from train.variables import read_variables
from train.weighting import select_samples


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A finished run.

    Attributes
    ----------
    run
        Its run directory, as the user gave it.
    framework
        A key of `store.run_folder.SCORERS`.
    variables
        Names of the variables that its model takes besides the image.
    """

    run: str
    framework: str
    variables: tuple[str, ...]

    @property
    def identity(self) -> dict[str, str]:
        """The run, and the digests of its settings and its model."""
        path = Path(self.run)
        return {
            "run": self.run,
            "config_sha256": sha256(path / "config.json"),
            "model_sha256": sha256(path / MODEL_FILES[self.framework]),
        }


def read_teachers(config: TrainConfig, store: Store) -> list[Teacher]:
    """Return the teachers of a run, after checking that each is finished and was trained on the same store.

    Raises
    ------
    RunError
        If a teacher cannot be used; the message names it.
    """
    student, paths = config.run.resolve(), [Path(run).resolve() for run in config.teach]
    if student in paths:
        raise RunError(f"{config.run}: a run cannot teach itself; choose another --run")
    if len(set(paths)) < len(paths):
        raise RunError(f"teach={','.join(config.teach)}: a run is given more than once")
    return [_read_teacher(run, store) for run in config.teach]


def _read_teacher(run: str, store: Store) -> Teacher:
    folder = RunFolder(path=Path(run))
    settings, identity = folder.read_config(), folder.read_environment()["store"]
    framework = settings["framework"]
    if framework not in MODEL_FILES:
        raise RunError(f"{run}: unknown framework {framework!r}; known: {', '.join(MODEL_FILES)}")
    spec = stored_dataset(identity)
    for of_run, of_store in zip(_layout(spec), _layout(store.spec), strict=True):
        if of_run != of_store:
            raise RunError(f"{run}: was trained on {of_run}, {store.path} has {of_store}; choose another teacher")
    if identity["digest"] != store.digest:
        raise RunError(
            f"{run}: was trained on another store, {identity['path']} (digest {identity['digest'][:12]}), than "
            f"{store.path} (digest {store.digest[:12]}); it may have seen test images, so it cannot be a teacher"
        )
    needed = [*(folder.predictions(split) for split in SPLITS), folder.path / MODEL_FILES[framework]]
    for path in needed:
        if not path.is_file():
            raise RunError(f"{run}: the run is not finished, {path} is missing; a teacher must be a finished run")
    return Teacher(run=run, framework=framework, variables=tuple(settings.get("variables", ())))


def _layout(spec: DatasetSpec) -> tuple[str, str]:
    """Return what images and classes are like, for messages."""
    return f"images of {spec.image_shape}", f"the classes {', '.join(spec.classes)}"


def ask_teachers(config: TrainConfig, store: Store, teachers: Sequence[Teacher], stream: BatchStream) -> TeacherScores:
    """Return the mean probabilities of teachers for the images of a stream, one teacher after the other.

    Each model runs in a process of its own, which ends before the framework of the student takes the memory of a GPU.

    Parameters
    ----------
    config, store
        Settings of the student, and its store.
    teachers
        What `read_teachers` returned.
    stream
        This rank's part of the training images, without augmentation; each in the same order in every epoch.

    Raises
    ------
    RunError
        If a model fails, or its scores are not probabilities.
    """
    sample = np.concatenate([batch.sample for batch in stream.sample_batches()])
    score = sum(_ask(teacher, config, store, stream) for teacher in teachers) / len(teachers)
    assert isinstance(score, np.ndarray)
    return TeacherScores(
        sample=sample, score=score, store=store.digest, teachers=[teacher.identity for teacher in teachers]
    )


def _ask(teacher: Teacher, config: TrainConfig, store: Store, stream: BatchStream) -> Float64Array:
    """Return the probabilities of one teacher, float64 (n,) or (n, K), which add up to 1, for an epoch of a stream."""
    run, classes, scores = Path(teacher.run), len(store.spec.classes), []
    columns = read_variables(teacher.variables, config.store) if teacher.variables else None
    with (
        open_model(teacher.framework, run, classes, visible_gpus(config.device)) as ask,
        watch_images(f"teacher {run.name}", stream.sample_count) as show,
    ):
        for batch in stream:
            size = len(batch.sample)
            variables = np.empty((size, 0), np.float32) if columns is None else columns[batch.sample]
            scores.append(ask(batch.image, variables))
            show(size)
            del batch
    score = np.concatenate(scores)
    total = score.sum(1, keepdims=True) if score.ndim == 2 else np.ones(1)
    if score.min() < 0 or score.max() > 1 or np.abs(total - 1).max() > SUM_TOLERANCE:
        raise RunError(
            f"{run}: its model gave scores from {score.min():g} to {score.max():g} that are not probabilities"
        )
    announce(f"teacher {run}: {len(select_samples(config, store, 'train')):,} training images scored")
    return score / total


def launched_ranks() -> tuple[int, int]:
    """Return (rank, world size) as ``torchrun`` set them, before there is a backend."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def visible_gpus(device: str) -> dict[str, str]:
    """Return the environment in which a teacher uses the same GPU as this rank, or none if the student uses none."""
    name, rank = "CUDA_VISIBLE_DEVICES", int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cpu":
        return {name: ""}
    if launched_ranks()[1] == 1:
        return {}
    given = os.environ.get(name)
    visible = [str(rank)] * (rank + 1) if given is None else given.split(",")
    return {name: visible[rank]} if rank < len(visible) else {}
