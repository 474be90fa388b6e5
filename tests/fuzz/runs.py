"""Damage to run folders and to tables of scores."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tests.fuzz.archives import archive_of
from tests.fuzz.damage import Damage, Level, Mutation, bytes_of, bytes_without_checksum, choose
from tests.fuzz.values import ESCAPES, json_of

MODELS = ("cnn.json", "resnet15.json", "shower.json")


def files_of(run: Path, *suffixes: str) -> list[Path]:
    """Return the files of a run with one of some suffixes, in a fixed order."""
    return sorted(path for path in run.rglob("*") if path.suffix in suffixes)


def run_json(random: np.random.Generator, run: Path) -> Damage:
    """Change the structure of a JSON file."""
    return json_of(random, choose(random, files_of(run, ".json", ".jsonl")))


def run_text(random: np.random.Generator, run: Path) -> Damage:
    """Damage the bytes of a JSON file."""
    return bytes_without_checksum(random, choose(random, files_of(run, ".json", ".jsonl")))


def run_archive(random: np.random.Generator, run: Path) -> Damage:
    """Damage predictions, the occlusion map or the model."""
    mutation = (archive_of, bytes_of)[random.integers(2)]
    return mutation(random, choose(random, files_of(run / "predictions", ".npz")))


def run_checkpoint(random: np.random.Generator, run: Path) -> Damage:
    """Damage a checkpoint."""
    mutation = (archive_of, bytes_of)[random.integers(2)]
    return mutation(random, choose(random, files_of(run / "checkpoints", ".npz")))


def run_files(random: np.random.Generator, run: Path) -> Damage:
    """Delete, empty or exchange files."""
    victim, other = (choose(random, files_of(run / "predictions", ".npz")) for _ in range(2))
    kind = random.integers(4)
    if kind < 2:
        victim = choose(
            random, [path for path in files_of(run, ".json", ".jsonl", ".npz") if path.name != "occlusion.npz"]
        )
    if kind == 0:
        victim.unlink()
    elif kind == 1:
        victim.write_bytes(b"")
    elif kind == 2:
        shutil.copy(other, victim.with_suffix(".new"))
        victim.with_suffix(".new").replace(victim)
    else:
        victim.unlink()
        victim.mkdir()
    # Exchanged files of predictions cannot be told from each other, and not every program reads every file.
    return Damage(f"{victim.name}, kind {kind}", Level.NOBODY, victim.name)


RUN: tuple[Mutation, ...] = (run_json, run_archive, run_files, run_json, run_text)
BEGUN: tuple[Mutation, ...] = (run_json, run_checkpoint, run_files, run_checkpoint, run_text)


def table(random: np.random.Generator, path: Path) -> Damage:
    """Change the columns of a table of scores."""
    content = pa_csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    name = ("row", "score", "label")[random.integers(3)]
    values, rows = content[name].to_numpy(), len(content)
    strange: tuple[Any, ...] = (
        values * np.nan, values - 5.0, values + 1e19, values / 3, values[::-1], np.zeros(rows), np.full(rows, 200),
        np.array(["x"] * rows), np.array([ESCAPES] * rows), np.full(rows, np.inf), np.array([None] * rows, object),
        np.full(rows, 2**63, np.uint64), np.arange(rows).astype("M8[s]"),
    )  # fmt: skip
    match random.integers(6):
        case 0:
            content = content.drop_columns([name])
        case 1:
            content = content.append_column(name, content["score"])
        case 2:
            content = content.slice(0, random.integers(3))
        case _:
            column = pa.array(strange[random.integers(len(strange))])
            content = content.set_column(content.schema.get_field_index(name), name, column)
    if path.suffix == ".csv":
        pa_csv.write_csv(content, path)
    else:
        pq.write_table(content, path)
    return Damage(f"{path.name}: {name}", Level.NOBODY, path.name)
