"""The JSON documents that the evaluation writes: metrics of a report, comparison of two classifiers, scores of a file.

A document is a structure whose attributes are the keys of the JSON object. Its JSON schema is generated from the
structure, and ``evaluate schema`` prints it. A change that breaks readers must raise the version in the document's
``schema``.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

METRICS_SCHEMA = "calostream-metrics/2"
COMPARISON_SCHEMA = "calostream-comparison/1"
SCORES_SCHEMA = "calostream-scores/1"

Count = Annotated[int, Meta(ge=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]


def about(text: str) -> Meta:
    """Return the description of an attribute, for the schema."""
    return Meta(description=text)


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a document."""


class Measurement(Part, frozen=True, kw_only=True):
    """A measured value with its standard error and its interval at the document's confidence level."""

    value: float
    standard_error: NotNegative
    interval: tuple[float, float]


# Metrics of one column of scores


class Metrics(Part, frozen=True, kw_only=True):
    """Metrics of scores; null where too few samples of a class leave a metric undefined."""

    samples: Count
    signal_samples: Count
    background_samples: Count
    auc: Annotated[Measurement | None, about("Area under the ROC curve.")]
    average_precision: Fraction | None
    background_rejection: Annotated[
        dict[str, Measurement | None],
        about("1 / false positive rate by signal efficiency; null if no background passes."),
    ]
    accuracy: Annotated[Measurement, about("Fraction of samples on the correct side of a score of 0.5.")]
    precision: Annotated[Measurement | None, about("Fraction of signal among scores of at least 0.5.")]
    recall: Annotated[Measurement | None, about("Fraction of the signal with a score of at least 0.5.")]
    log_loss: Annotated[Measurement, about("Mean binary cross-entropy in nats.")]
    brier_score: Annotated[Measurement, about("Mean squared difference between score and label.")]
    expected_calibration_error: Fraction


class RocCurve(Part, frozen=True, kw_only=True):
    """Some of the points of a ROC curve, from the tightest cut to the loosest."""

    background_efficiency: list[Fraction]
    signal_efficiency: list[Fraction]
    precision: list[Fraction]


class CalibrationCurve(Part, frozen=True, kw_only=True):
    """Mean score and fraction of signal in bins of the score; empty bins are left out."""

    samples: list[Count]
    mean_score: list[Fraction]
    signal_share: list[Fraction]
    standard_error: Annotated[list[NotNegative], about("Standard error of `signal_share`.")]


class ScoreHistogram(Part, frozen=True, kw_only=True):
    """Sum of weights by class in bins of the score, with its standard errors."""

    edges: list[Fraction]
    background: list[NotNegative]
    signal: list[NotNegative]
    background_error: list[NotNegative]
    signal_error: list[NotNegative]


class Curves(Part, frozen=True, kw_only=True):
    """Curves as numbers."""

    roc: RocCurve
    calibration: CalibrationCurve
    score_histogram: ScoreHistogram


# metrics.json


class SplitMetrics(Metrics, frozen=True, kw_only=True):
    """Metrics of a run on one split, which has samples of both classes."""

    auc: Measurement
    average_precision: Fraction
    accuracy_at_best_threshold: Annotated[Measurement, about("Accuracy at the run's `best_threshold`.")]
    curves: Curves


class SplitResults(Part, frozen=True, kw_only=True):
    """Metrics of a run by split."""

    train: SplitMetrics
    validation: SplitMetrics
    test: SplitMetrics

    def items(self) -> Iterable[tuple[str, SplitMetrics]]:
        """Return the names of the splits with their metrics."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__]


class GeneralisationGap(Part, frozen=True, kw_only=True):
    """Metrics on the training split minus those on the test split."""

    auc: Measurement
    accuracy: Measurement
    log_loss: Measurement


class SliceBin(Metrics, frozen=True, kw_only=True):
    """Metrics of the test samples in one bin of an observable, which includes its lower edge."""

    low: float
    high: float
    mean: Annotated[float, about("Mean of the observable over the samples in the bin.")]
    accuracy_at_best_threshold: Annotated[Measurement, about("Accuracy at the run's `best_threshold`.")]


class Slice(Part, frozen=True, kw_only=True):
    """Test metrics in bins of one observable, with about the same number of samples in each bin."""

    variable: Annotated[str, about("Name of the observable.")]
    long_name: str
    units: Annotated[str, about("1 for none.")]
    bins: list[SliceBin]


class GallerySample(Part, frozen=True, kw_only=True):
    """A test sample that is shown as an image."""

    sample: Annotated[Count, about("Position in the store.")]
    label: Literal[0, 1]
    score: Fraction


class Gallery(Part, frozen=True, kw_only=True):
    """The test samples with the most confident correct, the most confident wrong and the least certain scores."""

    right: Annotated[list[GallerySample], Meta(max_length=4)]
    wrong: Annotated[list[GallerySample], Meta(max_length=4)]
    uncertain: Annotated[list[GallerySample], Meta(max_length=4)]


OcclusionMap = Annotated[list[list[float]], about("One value per patch; rows run along ieta.")]


class OcclusionMaps(Part, frozen=True, kw_only=True):
    """Mean absolute change of the score when a patch of the image is set to zero, by class; null without samples."""

    samples: Annotated[Count, about("Number of test images.")]
    background: OcclusionMap | None
    signal: OcclusionMap | None


class StoreIdentity(Struct, frozen=True, kw_only=True):
    """The store that a run was trained on."""

    path: str
    digest: Annotated[str, about("SHA-256 of the content.")]
    title: str
    dataset: str
    simulated: Annotated[str, about("What simulated the images; empty if no source says so.")]
    sources: list[dict[str, Any]] | UnsetType = UNSET
    split_scheme: str
    split_ranges: Annotated[
        dict[str, tuple[int, int]], about("First position of each split, and its last position plus one.")
    ]
    seed: Annotated[int | None, about("Seed of the shuffle.")]


class RunResults(Part, frozen=True, kw_only=True):
    """Everything about one run."""

    name: str
    path: str
    framework: str
    model: str
    parameters: Annotated[Count, about("Number of trainable parameters.")]
    config: Annotated[dict[str, Any], about("Settings of the training.")]
    environment: Annotated[dict[str, Any], about("Command, device and versions.")]
    store: StoreIdentity
    signal: Annotated[str, about("Name of class 1.")]
    background: Annotated[str, about("Name of class 0.")]
    history: Annotated[dict[str, list[float | None]], about("By epoch; null where a value could not be computed.")]
    best_threshold: Annotated[float, about("Threshold with the highest accuracy on the validation split.")]
    splits: SplitResults
    generalisation_gap: GeneralisationGap
    slices: list[Slice]
    gallery: Gallery
    occlusion: OcclusionMaps | None


class RunComparison(Part, frozen=True, kw_only=True):
    """Paired comparison of the test AUCs of two runs."""

    split: Literal["test"]
    runs: Annotated[tuple[str, str], about("Names of the first and the second run.")]
    difference: Annotated[Measurement, about("AUC of the first run minus that of the second.")]
    p_value: Annotated[Fraction, about("Two-sided, from DeLong's test.")]


class PublishedRow(Part, frozen=True, kw_only=True):
    """A published result on the same data set."""

    source: str
    model: str
    auc: str
    note: Annotated[str, about("Why the result should not be taken at face value, if so.")]
    comparable: Annotated[bool, about("Whether it was measured on the same data and split.")]
    difference: Annotated[str, about("What differs, if it is not comparable.")]


class MetricsDocument(Part, frozen=True, kw_only=True, tag_field="schema", tag=METRICS_SCHEMA):
    """metrics.json: all numbers of a report."""

    confidence: Annotated[Fraction, about("Level of all intervals.")]
    runs: Annotated[list[RunResults], Meta(min_length=1)]
    comparisons: list[RunComparison]
    published: Annotated[dict[str, list[PublishedRow]], about("Published results by the digest of the store.")]
    warnings: list[str]
    files: Annotated[list[str], about("All files of the report.")]


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
    label: Annotated[Literal[0, 1] | None, about("Null without labels.")]
    scores: tuple[float, float]


class ComparisonDocument(Part, frozen=True, kw_only=True, tag_field="schema", tag=COMPARISON_SCHEMA):
    """Two classifiers on the samples that both scored; differences are first minus second."""

    confidence: Annotated[Fraction, about("Level of all intervals.")]
    paths: tuple[str, str]
    samples: Annotated[Count, about("Number of samples that both scored.")]
    agreement: Annotated[Measurement, about("Fraction of samples with both scores on the same side of 0.5.")]
    spearman: Annotated[float | None, about("Rank correlation, without weights; null for constant scores.")]
    pearson: Annotated[float | None, about("Linear correlation, without weights; null for constant scores.")]
    mean_difference: Measurement
    mean_absolute_difference: Measurement
    auc: Annotated[PairedAuc | None, about("Null without labels of both classes.")]
    accuracy: Annotated[PairedMeasurement | None, about("Null without labels.")]
    simulated: Annotated[list[str], about("What simulated the data of the runs.")]
    largest_differences: list[ScorePair]
    warnings: list[str]


# Scores of a file


class ScoresDocument(Part, frozen=True, kw_only=True, tag_field="schema", tag=SCORES_SCHEMA):
    """Metrics of the scores of a file's images, beside the table of scores."""

    confidence: Annotated[Fraction, about("Level of all intervals.")]
    run: Annotated[str, about("The run directory whose model was used.")]
    file: Annotated[str, about("The file that was scored.")]
    rows: Annotated[Count, about("Number of images.")]
    labelled: Annotated[bool, about("Whether the file has labels.")]
    weighted: Annotated[bool, about("Whether the metrics use weights from the file.")]
    curves: Annotated[Curves | None, about("Null without labels of both classes.")]
    metrics: Annotated[Metrics | None, about("Null without at least two labelled images of positive weight.")]
    signal: Annotated[str, about("Name of class 1.")]
    background: Annotated[str, about("Name of class 0.")]
    simulated: Annotated[str, about("What simulated the training data; empty if nothing says so.")]


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
