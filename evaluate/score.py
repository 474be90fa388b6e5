"""Scores of images that nobody has seen, by the model of a run directory, which runs in a process of its own."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from evaluate.images import Block, Images, open_images
from evaluate.measure import Document, measure
from evaluate.metrics import CONFIDENCE, Floats
from evaluate.report_folder import check_output
from evaluate.score_tables import choose_table
from store.datasets import find_dataset
from store.errors import RunError
from store.run_folder import SCORERS, RunFolder
from store.score_pipe import receive_scores, send_block

SCHEMA = "calostream-scores/1"
Ask = Callable[[Block, Block], Floats]
ROOT = Path(__file__).parents[1]


def score(run: Path, file: Path, output: Path) -> Document:
    """Score the images of a file; write the scores, and beside them a JSON document with the metrics.

    Memory holds a few blocks of 16 MiB of images, and 17 bytes a row, 25 with weights, and 4 more for each variable of
    the model. Both files appear when everything is done.

    Parameters
    ----------
    run
        A run directory; its model, configuration and environment are used.
    file
        See `evaluate.images.open_images`.
    output
        Where the scores go: ``.csv`` or ``.parquet``, with the columns ``row`` (from 0), ``score`` (probability of
        class 1) and, if the file has labels, ``label``. The document has the same name and the suffix ``.json``.

    Returns
    -------
    dict
        JSON-able: ``schema``, ``confidence``, ``run``, ``file``, ``rows``, ``signal``, ``background``, ``metrics`` and
        ``curves`` of `measure`, which are null without labels, the curves also without both classes, ``labelled``:
        whether the file has labels, ``weighted``: whether metrics take weights that the file has, and ``simulated``:
        what the data were that the model was trained on, empty if nothing says so.

    Raises
    ------
    RunError
        If the run has no usable model, or the model fails.
    SourceError
        If the images or labels break a rule; the message names file, rule and value.
    ConfigError
        If `output` has another suffix, would replace what is read or a JSON file that holds no scores, or pyarrow is
        needed and not installed.
    """
    write_table = choose_table(output)
    beside = output.with_suffix(".json")
    check_output(output, (run, file))
    check_output(beside, (run, file), SCHEMA)
    folder = RunFolder(path=run)
    config, environment = folder.read_config(), folder.read_environment()
    description = find_dataset(environment["store"]["dataset"])
    images = open_images(file, description, variables_of(config))
    scores = np.empty(images.rows)
    with _partial(beside) as text, _partial(output) as partial:
        with write_table(partial) as write, open_model(config["framework"], run) as ask:
            start = 0
            for block in images.blocks():
                rows = slice(start, start + len(block))
                scores[rows] = ask(block, images.variables[rows])
                label = {} if images.label is None else {"label": images.label[rows]}
                write({"row": np.arange(rows.start, rows.stop), "score": scores[rows], **label})
                start += len(block)
        document = _describe(run, images, scores)
        document |= {"signal": description.classes[1], "background": description.classes[0]}
        document |= {"simulated": environment["store"]["simulated"]}
        text.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return document


def variables_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the variables that the model of a run takes besides the image."""
    return tuple(config.get("variables", ()))


def _describe(run: Path, images: Images, scores: Floats) -> Document:
    label, weight = images.label, images.weight
    counting = images.rows if weight is None else np.count_nonzero(weight)
    found = None if label is None or counting < 2 else measure(label, scores, weight, curves=True)
    return {
        "schema": SCHEMA,
        "confidence": CONFIDENCE,
        "run": str(run),
        "file": str(images.path),
        "rows": images.rows,
        "labelled": label is not None,
        "weighted": found is not None and weight is not None,
        "curves": found.pop("curves") if found else None,
        "metrics": found,
    }


@contextlib.contextmanager
def open_model(framework: str, run: Path) -> Iterator[Ask]:
    """Start the program that has a run's model, and yield what gives the scores, float64 (n,), of images and variables.

    What goes over the pipes is described in `store.score_pipe`.

    Raises
    ------
    RunError
        If the framework is unknown; from what is yielded, if the model fails or a score is not finite.
    """
    if framework not in SCORERS:
        raise RunError(f"{run}: unknown framework {framework!r}; known: {', '.join(SCORERS)}")
    command = [
        sys.executable,
        "-P",
        "-m",
        SCORERS[framework],
        str(run),
    ]  # -P: a folder called train may be where the user is
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        images, answers = process.stdin, process.stdout

        def ask(block: Block, variables: Block) -> Floats:
            scores = None
            with contextlib.suppress(BrokenPipeError):
                send_block(images, block, variables)
                scores = receive_scores(answers, len(block))
            if scores is None:
                raise RunError(f"{run}: its model gives no scores: {_failure(process, errors)}")
            if not np.isfinite(scores).all():
                raise RunError(f"{run}: its model gives a score of {scores[~np.isfinite(scores)][0]}")
            return scores

        try:
            yield ask
        finally:
            with contextlib.suppress(BrokenPipeError):
                images.close()


def _failure(process: "subprocess.Popen[bytes]", errors: BinaryIO) -> str:
    """Return what the program said at its end, or else how it ended."""
    status = process.wait()
    errors.seek(0)
    last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
    return last.removeprefix("error: ") if last.startswith("error: ") else f"it ended with status {status}"


@contextlib.contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Give a file beside `path` to write, which takes its place if nothing is raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
