"""Scores the images of a file with the model of a run, or with the mean of the models of several runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.class_measure import measure_classes, measure_details
from evaluate.comparisons import compare_auc
from evaluate.document import SCORES_SCHEMA, RunScores, ScoresDocument, name_classes, to_json
from evaluate.ensemble import mean_score
from evaluate.images import Images, open_images
from evaluate.intervals import DIFFERENCE, with_interval
from evaluate.measure import measure, measure_curves
from evaluate.metrics import CONFIDENCE
from evaluate.report_folder import check_output_file
from evaluate.score_models import ScoreAll, ScoreModel, all_variables, open_models, read_models
from evaluate.score_tables import WriteRows, choose_format, name_scores
from store.arrays import Float64Array
from store.errors import ConfigError
from store.files import replacing
from store.locations import Location
from store.run_folder import RunFolder


def score(runs: Sequence[Path], file: Location, output: Path, *, overwrite: bool = False) -> ScoresDocument:
    """Score the images of a file; write the scores, and beside them a JSON document with the metrics.

    It needs memory for a few blocks of images, 16 MiB each, and 17 bytes per row (25 with weights) plus 4 for each
    variable of the models and 8 for each class if there are more than two; with several runs, as much again for the
    scores of each. Both files appear once everything is done.

    Parameters
    ----------
    runs
        Run directories. Several models score each image one after the other, and its score is the mean of their
        logits as a probability, see `evaluate.ensemble.mean_score`. Baselines count like networks.
    file
        See `evaluate.images.open_images`.
    output
        Where the scores go: ``.csv`` or ``.parquet``, with the columns ``row`` (from 0), ``score`` (probability of
        class 1) and, if the file has labels, ``label``. With more than two classes, there is a column ``score_CLASS``
        for each class instead of ``score``. The document has the same name and the suffix ``.json``.
    overwrite
        Replace these two files if they exist.

    Raises
    ------
    RunError
        If a run has no usable model, or a model fails.
    SourceError
        If the images or labels break a rule; the message names file, rule and value.
    RemoteError
        If the file is at a URL and cannot be read.
    ConfigError
        If runs have different images or classes, `file` is a run directory, `output` has another suffix, pyarrow is
        needed and not installed, or a file to be written exists and `overwrite` is not set, is an input, or is a JSON
        file that is not a document of scores.
    """
    open_table = choose_format(output)
    document_path = output.with_suffix(".json")
    inputs = (*runs, file) if isinstance(file, Path) else tuple(runs)
    check_output_file(output, inputs)
    check_output_file(document_path, inputs, SCORES_SCHEMA)
    if not overwrite and (existing := next((path for path in (output, document_path) if path.exists()), None)):
        raise ConfigError(f"{existing}: already exists; --overwrite replaces it, --output writes to another file")
    if isinstance(file, Path) and RunFolder(path=file).framework is not None:
        raise ConfigError(f"{file}: is a run directory; name the file to score after the runs")
    models = read_models(runs)
    images = open_images(file, models[0].spec, all_variables(models))
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(document_path) as partial_document, replacing(output) as partial_table:
        with open_table(partial_table) as write, open_models(models) as score_all:
            scores = _score_blocks(images, models, score_all, write)
        document = _describe(models, images, scores)
        partial_document.write_bytes(to_json(document))
    return document


def _score_blocks(
    images: Images, models: Sequence[ScoreModel], score_all: ScoreAll, write: WriteRows
) -> list[Float64Array]:
    """Return the scores of all images, float64 (rows,) or (rows, class), after writing them block by block.

    The first array is what was written. With several models, it is their mean, and the scores of each model follow.
    """
    classes = models[0].spec.classes
    shape = (images.rows,) if len(classes) == 2 else (images.rows, len(classes))
    scores = [np.empty(shape) for _ in range(1 if len(models) == 1 else 1 + len(models))]
    start = 0
    for block in images.blocks():
        rows = slice(start, start + len(block))
        answers = score_all(block, images.variables[rows])
        if len(answers) > 1:
            answers.insert(0, mean_score(answers))
        for kept, answer in zip(scores, answers, strict=True):
            kept[rows] = answer
        label = {} if images.label is None else {"label": images.label[rows]}
        write({"row": np.arange(rows.start, rows.stop), **name_scores(scores[0][rows], classes), **label})
        start = rows.stop
    return scores


def _describe(models: Sequence[ScoreModel], images: Images, scores: Sequence[Float64Array]) -> ScoresDocument:
    measured = _measure(images, scores[0])
    paths = [str(model.run) for model in models]
    several = zip(paths, scores[1:], strict=True) if len(models) > 1 else ()
    runs = [_compare(run, images, of_run, scores[0]) for run, of_run in several]
    return ScoresDocument(
        **({"runs": runs} if runs else {"run": paths[0]}),
        confidence=CONFIDENCE,
        file=str(images.location),
        rows=images.rows,
        labelled=images.label is not None,
        weighted=measured["metrics"] is not None and images.weight is not None,
        simulated=" and ".join(dict.fromkeys(model.simulated for model in models if model.simulated)),
        **name_classes(models[0].spec.classes),
        **measured,
    )


def _compare(run: str, images: Images, scores: Float64Array, mean: Float64Array) -> RunScores:
    """Return how good the scores of one of several runs are, and how much better the mean is."""
    metrics, test = _measure(images, scores)["metrics"], None
    if images.label is not None and metrics and metrics.auc:
        test = compare_auc(images.label, mean, scores, images.weight)
    return RunScores(
        run=run,
        metrics=metrics,
        difference=with_interval(test.difference, DIFFERENCE) if test else None,
        p_value=test.p_value if test else None,
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
