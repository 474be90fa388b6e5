"""Scores the images of a file with the model of a run directory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.class_measure import measure_classes, measure_details
from evaluate.document import SCORES_SCHEMA, ScoresDocument, name_classes, to_json
from evaluate.images import Images, open_images
from evaluate.measure import measure, measure_curves
from evaluate.metrics import CONFIDENCE
from evaluate.model_process import ScoreBlock, open_model
from evaluate.report_folder import check_output_file
from evaluate.score_tables import WriteRows, choose_format, name_scores
from store.arrays import Float64Array
from store.datasets import DatasetSpec, stored_dataset
from store.errors import RunError
from store.files import replacing
from store.locations import Location
from store.run_folder import RunFolder


def score(run: Path, file: Location, output: Path) -> ScoresDocument:
    """Score the images of a file; write the scores, and beside them a JSON document with the metrics.

    It needs memory for a few blocks of images, 16 MiB each, and 17 bytes per row (25 with weights) plus 4 for each
    variable of the model and 8 for each class if there are more than two. Both files appear once everything is done.

    Parameters
    ----------
    run
        A run directory, whose model is used.
    file
        See `evaluate.images.open_images`.
    output
        Where the scores go: ``.csv`` or ``.parquet``, with the columns ``row`` (from 0), ``score`` (probability of
        class 1) and, if the file has labels, ``label``. With more than two classes, there is a column ``score_CLASS``
        for each class instead of ``score``. The document has the same name and the suffix ``.json``.

    Raises
    ------
    RunError
        If the run has no usable model, or the model fails.
    SourceError
        If the images or labels break a rule; the message names file, rule and value.
    RemoteError
        If the file is at a URL and cannot be read.
    ConfigError
        If `output` has another suffix, would replace an input or a JSON file that is not a document of scores, or
        pyarrow is needed and not installed.
    """
    open_table = choose_format(output)
    document_path = output.with_suffix(".json")
    inputs = (run, file) if isinstance(file, Path) else (run,)
    check_output_file(output, inputs)
    check_output_file(document_path, inputs, SCORES_SCHEMA)
    folder = RunFolder(path=run)
    config, store = folder.read_config(), folder.read_environment()["store"]
    spec = stored_dataset(store)
    images = open_images(file, spec, variables_of(folder, config, spec))
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(document_path) as partial_document, replacing(output) as partial_table:
        classes = spec.classes
        with open_table(partial_table) as write, open_model(config["framework"], run, len(classes)) as score_block:
            scores = _score_blocks(images, classes, score_block, write)
        document = _describe(run, spec, store["simulated"], images, scores)
        partial_document.write_bytes(to_json(document))
    return document


def variables_of(folder: RunFolder, config: Mapping[str, Any], spec: DatasetSpec) -> tuple[str, ...]:
    """Return the names of the variables that the model of a run takes besides the image.

    Raises
    ------
    RunError
        If the data set has no variable of that name.
    """
    known = [variable.name for variable in spec.variables]
    names = tuple(config.get("variables", ()))
    for name in names:
        if name not in known:
            raise RunError(
                f"{folder.path / 'config.json'}: the data set {spec.name} has no variable {name!r}; "
                f"known: {', '.join(known) or 'none'}"
            )
    return names


def _score_blocks(images: Images, classes: Sequence[str], score_block: ScoreBlock, write: WriteRows) -> Float64Array:
    """Return the scores of all images, float64 (rows,) or (rows, class), after writing them block by block."""
    scores = np.empty(images.rows if len(classes) == 2 else (images.rows, len(classes)))
    start = 0
    for block in images.blocks():
        rows = slice(start, start + len(block))
        scores[rows] = score_block(block, images.variables[rows])
        label = {} if images.label is None else {"label": images.label[rows]}
        write({"row": np.arange(rows.start, rows.stop), **name_scores(scores[rows], classes), **label})
        start = rows.stop
    return scores


def _describe(run: Path, spec: DatasetSpec, simulated: str, images: Images, scores: Float64Array) -> ScoresDocument:
    measured = _measure(images, scores)
    return ScoresDocument(
        confidence=CONFIDENCE,
        run=str(run),
        file=str(images.location),
        rows=images.rows,
        labelled=images.label is not None,
        weighted=measured["metrics"] is not None and images.weight is not None,
        simulated=simulated,
        **name_classes(spec.classes),
        **measured,
    )


def _measure(images: Images, scores: Float64Array) -> dict[str, Any]:
    """Return the metrics, and the curves or details, by their keys in the document.

    They are None without two labelled images of positive weight, and curves also if a class has fewer than two.
    """
    used = images.rows if images.weight is None else np.count_nonzero(images.weight)
    more = "curves" if scores.ndim == 1 else "details"
    if images.label is None or used < 2:
        return {"metrics": None, more: None}
    columns = images.label, scores, images.weight
    if scores.ndim == 2:
        return {"metrics": measure_classes(*columns), more: measure_details(*columns)}
    measured = measure(*columns)
    return {"metrics": measured, more: measure_curves(*columns) if measured.auc else None}
