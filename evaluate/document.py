"""The JSON documents that the evaluation writes: metrics of a report, comparison of two classifiers, scores of a file.

A document is a structure whose attributes are the keys of the JSON object. Its JSON schema is generated from the
structure, and ``evaluate schema`` prints it. A change that breaks readers must raise the version in the document's
``schema``.

Two classes are background and signal, with one score per sample: the probability of the signal. With more classes, each
sample has one probability per class. Keys that only one of the two cases has are absent in the other; lists and tables
by class are in the order of the key ``classes``.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from evaluate.parts import ClassDetails, Count, Curves, Fraction, Measurement, Metrics, Part, about
from evaluate.results import EnsembleResults, RunResults, SeedGroup

METRICS_SCHEMA = "calostream-metrics/3"
COMPARISON_SCHEMA = "calostream-comparison/1"
SCORES_SCHEMA = "calostream-scores/1"

# metrics.json


class RunComparison(Part, frozen=True, kw_only=True):
    """Paired comparison of two runs, or of an ensemble and a run, on the same test samples."""

    split: Literal["test"]
    runs: Annotated[tuple[str, str], about("Names of the first and the second run; the first may be an ensemble.")]
    difference: Annotated[
        Measurement | None, about("AUC of the first run minus that of the second; null where there is no AUC.")
    ]
    p_value: Annotated[Fraction | None, about("Two-sided, from DeLong's test; null where there is no AUC.")]
    accuracy: Annotated[
        Measurement | UnsetType,
        about("Accuracy of the first run minus that of the second. More than two classes only."),
    ] = UNSET


class PublishedRow(Part, frozen=True, kw_only=True):
    """A published result on the same data set."""

    source: str
    model: str
    auc: str
    note: Annotated[str, about("Why the result should not be taken at face value, if so.")]
    comparable: Annotated[bool, about("Whether it was measured on the same data and split.")]
    difference: Annotated[str, about("What differs, if it is not comparable.")]
    link: Annotated[str, about("Where it was published; empty if that is not known.")]


class MetricsDocument(Part, frozen=True, kw_only=True, tag_field="schema", tag=METRICS_SCHEMA):
    """metrics.json: all numbers of a report."""

    confidence: Annotated[Fraction, about("Level of all intervals.")]
    runs: Annotated[list[RunResults], Meta(min_length=1)]
    ensembles: Annotated[
        list[EnsembleResults], about("One for all networks on the same test samples, if there are two or more.")
    ]
    seeds: list[SeedGroup]
    comparisons: list[RunComparison]
    published: Annotated[dict[str, list[PublishedRow]], about("Published results by the digest of the store.")]
    warnings: list[str]
    notes: Annotated[list[str], about("What readers should know, without being warned.")]
    files: Annotated[list[str], about("All files of the report.")]

    @property
    def classifiers(self) -> "list[RunResults | EnsembleResults]":
        """The runs and the ensembles, in the order of the report."""
        return [*self.runs, *self.ensembles]


# Comparison of two classifiers


class PairedMeasurement(Part, frozen=True, kw_only=True):
    """A metric of both classifiers, and its difference on the same samples: first minus second."""

    values: tuple[Measurement, Measurement]
    difference: Measurement


class PairedAuc(PairedMeasurement, frozen=True, kw_only=True):
    """AUC of both classifiers, and its difference on the same samples: first minus second."""

    p_value: Annotated[Fraction, about("Two-sided, from DeLong's test.")]


class ScorePair(Part, frozen=True, kw_only=True):
    """A sample with the scores of both classifiers."""

    sample: int
    label: Annotated[Count | None, about("Number of the true class; null without labels.")]
    scores: Annotated[tuple[float, float] | UnsetType, about("Two classes only.")] = UNSET
    probabilities: Annotated[
        tuple[list[float], list[float]] | UnsetType,
        about("Probability of each class, for the first and the second classifier. More than two classes only."),
    ] = UNSET


class ClassAgreement(Part, frozen=True, kw_only=True):
    """How far the probabilities of one class of more than two agree."""

    spearman: Annotated[float | None, about("Rank correlation, without weights; null for constant probabilities.")]
    pearson: Annotated[float | None, about("Linear correlation, without weights; null for constant probabilities.")]
    mean_difference: Measurement


class ComparisonDocument(Part, frozen=True, kw_only=True, tag_field="schema", tag=COMPARISON_SCHEMA):
    """Two classifiers on the samples that both scored; differences are first minus second."""

    confidence: Annotated[Fraction, about("Level of all intervals.")]
    paths: tuple[str, str]
    samples: Annotated[Count, about("Number of samples that both scored.")]
    agreement: Annotated[
        Measurement,
        about(
            "Fraction of samples with both scores on the same side of 0.5. More than two classes: fraction of samples "
            "for which both have the same most probable class."
        ),
    ]
    spearman: Annotated[
        float | UnsetType | None,
        about("Rank correlation, without weights; null for constant scores. Two classes only."),
    ] = UNSET
    pearson: Annotated[
        float | UnsetType | None,
        about("Linear correlation, without weights; null for constant scores. Two classes only."),
    ] = UNSET
    mean_difference: Annotated[Measurement | UnsetType, about("Two classes only.")] = UNSET
    mean_absolute_difference: Annotated[
        Measurement,
        about(
            "More than two classes: mean over the samples of half the sum over the classes, the largest difference "
            "between the probabilities of a set of classes."
        ),
    ]
    auc: Annotated[PairedAuc | None, about("As in metrics.json; null without labels of every class.")]
    accuracy: Annotated[PairedMeasurement | None, about("As in metrics.json; null without labels.")]
    classes: Annotated[
        list[str] | UnsetType, about("Names of the classes; numbers if no file names them. More than two classes only.")
    ] = UNSET
    by_class: Annotated[list[ClassAgreement] | UnsetType, about("More than two classes only.")] = UNSET
    signal: Annotated[str | UnsetType, about("Name of class 1. Two classes only, if a run names them.")] = UNSET
    background: Annotated[str | UnsetType, about("Name of class 0. Two classes only, if a run names them.")] = UNSET
    simulated: Annotated[list[str], about("What simulated the data of the runs.")]
    largest_differences: list[ScorePair]
    warnings: list[str]


# Scores of a file


class RunScores(Part, frozen=True, kw_only=True):
    """One of several runs whose mean scored a file."""

    run: Annotated[str, about("The run directory.")]
    metrics: Annotated[Metrics | None, about("Those of the model of this run alone; null where those of the mean are.")]
    difference: Annotated[
        Measurement | None, about("AUC of the mean minus that of this run; null where there is no AUC.")
    ]
    p_value: Annotated[Fraction | None, about("Two-sided, from DeLong's test; null where there is no AUC.")]


class ScoresDocument(Part, frozen=True, kw_only=True, tag_field="schema", tag=SCORES_SCHEMA):
    """Metrics of the scores of a file's images, beside the table of scores."""

    confidence: Annotated[Fraction, about("Level of all intervals.")]
    run: Annotated[str | UnsetType, about("The run directory whose model was used. One run only.")] = UNSET
    runs: Annotated[
        list[RunScores] | UnsetType,
        about("The runs. The scores, and the other keys, are of the mean of their logits. Several runs only."),
    ] = UNSET
    file: Annotated[str, about("The file that was scored.")]
    rows: Annotated[Count, about("Number of images.")]
    labelled: Annotated[bool, about("Whether the file has labels.")]
    weighted: Annotated[bool, about("Whether the metrics use weights from the file.")]
    curves: Annotated[Curves | UnsetType | None, about("Null without labels of both classes. Two classes only.")] = (
        UNSET
    )
    metrics: Annotated[Metrics | None, about("Null without at least two labelled images of positive weight.")]
    details: Annotated[
        ClassDetails | UnsetType | None, about("Null where `metrics` is. More than two classes only.")
    ] = UNSET
    signal: Annotated[str | UnsetType, about("Name of class 1. Two classes only.")] = UNSET
    background: Annotated[str | UnsetType, about("Name of class 0. Two classes only.")] = UNSET
    classes: Annotated[list[str] | UnsetType, about("Names of the classes. More than two classes only.")] = UNSET
    simulated: Annotated[str, about("What simulated the training data; empty if nothing says so.")]


def name_classes(classes: Sequence[str]) -> dict[str, Any]:
    """Return the names of the classes by the keys that they have in a document."""
    if len(classes) == 2:
        return {"background": classes[0], "signal": classes[1]}
    return {"classes": list(classes)}


Document = MetricsDocument | ComparisonDocument | ScoresDocument
DOCUMENTS: dict[str, type[Document]] = {
    "metrics": MetricsDocument,
    "comparison": ComparisonDocument,
    "scores": ScoresDocument,
}


def to_json(document: Document) -> bytes:
    """Return a document as indented JSON.

    Raises
    ------
    ValueError
        If it holds a number that JSON cannot express: an infinity or NaN.
    """
    return json.dumps(msgspec.to_builtins(document), indent=2, allow_nan=False).encode() + b"\n"


def json_schema(kind: type[Document]) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a kind of document."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(kind)}
