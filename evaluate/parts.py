"""Parts of documents: metrics of scores, with tables and curves; `evaluate.document` says which keys which case has."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

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


class ClassMetrics(Part, frozen=True, kw_only=True):
    """Metrics of one class of more than two; null where too few samples leave a metric undefined."""

    samples: Annotated[Count, about("Number of samples of the class.")]
    auc: Annotated[
        Measurement | None,
        about("One against the rest: area under the ROC curve of the probability of the class, against all others."),
    ]
    precision: Annotated[
        Measurement | None, about("Fraction of the class among the samples for which it is the most probable one.")
    ]
    recall: Annotated[Measurement | None, about("Fraction of the class for which it is the most probable one.")]


class Metrics(Part, frozen=True, kw_only=True):
    """Metrics of scores; null where too few samples of a class leave a metric undefined."""

    samples: Count
    signal_samples: Annotated[Count | UnsetType, about("Two classes only.")] = UNSET
    background_samples: Annotated[Count | UnsetType, about("Two classes only.")] = UNSET
    auc: Annotated[
        Measurement | None,
        about("Area under the ROC curve. More than two classes: mean over the classes, each against the rest."),
    ]
    average_precision: Annotated[Fraction | UnsetType | None, about("Two classes only.")] = UNSET
    background_rejection: Annotated[
        dict[str, Measurement | None] | UnsetType,
        about("1 / false positive rate by signal efficiency; null if no background passes. Two classes only."),
    ] = UNSET
    accuracy: Annotated[
        Measurement,
        about(
            "Fraction of samples on the correct side of a score of 0.5. More than two classes: fraction of samples "
            "whose most probable class is the true one."
        ),
    ]
    precision: Annotated[
        Measurement | UnsetType | None, about("Fraction of signal among scores of at least 0.5. Two classes only.")
    ] = UNSET
    recall: Annotated[
        Measurement | UnsetType | None, about("Fraction of the signal with a score of at least 0.5. Two classes only.")
    ] = UNSET
    log_loss: Annotated[Measurement, about("Mean cross-entropy in nats.")]
    brier_score: Annotated[
        Measurement,
        about(
            "Mean squared difference between score and label, 0 to 1. More than two classes: mean over the samples of "
            "the sum over classes of the squared difference between the probability and 1 for the true class or 0 for "
            "any other, 0 to 2."
        ),
    ]
    expected_calibration_error: Annotated[
        Fraction,
        about(
            "Mean difference between score and fraction of signal. More than two classes: between the largest "
            "probability and the accuracy."
        ),
    ]
    top_2_accuracy: Annotated[
        Measurement | UnsetType,
        about("Fraction of samples whose true class is one of the two most probable ones. More than two classes only."),
    ] = UNSET
    by_class: Annotated[list[ClassMetrics] | UnsetType, about("More than two classes only.")] = UNSET


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


class ConfidenceCurve(Part, frozen=True, kw_only=True):
    """Mean largest probability and accuracy in bins of the largest probability; empty bins are left out."""

    samples: list[Count]
    mean_probability: list[Fraction]
    accuracy: list[Fraction]
    standard_error: Annotated[list[NotNegative], about("Standard error of `accuracy`.")]


class ClassTable(Part, frozen=True, kw_only=True):
    """Values by two classes, as rows of columns; null where undefined."""

    value: list[list[float | None]]
    standard_error: list[list[NotNegative | None]]


class Confusion(Part, frozen=True, kw_only=True):
    """Samples by true class (rows) and most probable class (columns)."""

    samples: Annotated[list[list[Count]], about("Number of samples.")]
    weight: Annotated[list[list[NotNegative]], about("Sum of weights.")]
    share: Annotated[ClassTable, about("Fraction of the true class, weighted: each row sums to 1.")]


class ClassDetails(Part, frozen=True, kw_only=True):
    """Tables and curves of more than two classes."""

    confusion: Confusion
    pairwise_auc: Annotated[
        ClassTable,
        about(
            "Area under the ROC curve for the samples of two classes, i and j, with the score p_i / (p_i + p_j). The "
            "table is symmetric; its diagonal is null."
        ),
    ]
    mean_pairwise_auc: Annotated[Measurement | None, about("Plain mean over all pairs; null if one of them is.")]
    rejection: Annotated[
        dict[str, ClassTable],
        about(
            "By efficiency for the class of the row, which is the fraction of it that passes a cut on its probability: "
            "1 / fraction of the class of the column that passes the same cut; null if none passes."
        ),
    ]
    confidence: ConfidenceCurve
    curves: Annotated[
        list[Curves | None],
        about("By class, which is the signal, against the rest, which is the background; null where `auc` is."),
    ]
