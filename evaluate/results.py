"""Parts of metrics.json: the results of a run, of an ensemble of runs, and of runs that differ in the seed alone."""

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from evaluate.parts import ClassDetails, Count, Curves, Fraction, Measurement, Metrics, NotNegative, Part, about


class ThresholdConfusion(Part, frozen=True, kw_only=True):
    """Samples by true class (rows) and class at the run's `best_threshold` (columns): background, signal."""

    samples: Annotated[list[list[Count]], about("Number of samples.")]
    share: Annotated[list[list[Measurement]], about("Fraction of the true class, weighted: each row sums to 1.")]


class SplitMetrics(Metrics, frozen=True, kw_only=True):
    """Metrics of a run on one split. It has samples of both classes if there are two."""

    accuracy_at_best_threshold: Annotated[
        Measurement | UnsetType, about("Accuracy at the run's `best_threshold`. Two classes only.")
    ] = UNSET
    confusion: Annotated[ThresholdConfusion | UnsetType, about("Two classes only.")] = UNSET
    curves: Annotated[Curves | UnsetType, about("Two classes only.")] = UNSET
    details: Annotated[ClassDetails | UnsetType, about("More than two classes only.")] = UNSET


class SplitResults(Part, frozen=True, kw_only=True):
    """Metrics of a run by split."""

    train: SplitMetrics
    validation: SplitMetrics
    test: SplitMetrics

    def items(self) -> Iterable[tuple[str, SplitMetrics]]:
        """Return the names of the splits with their metrics."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__]


class GeneralisationGap(Part, frozen=True, kw_only=True):
    """Metrics on a split minus those on the test split; null where one of the two is."""

    auc: Measurement | None
    accuracy: Measurement
    log_loss: Measurement


class SliceBin(Metrics, frozen=True, kw_only=True):
    """Metrics of the test samples in one bin of an observable, which includes its lower edge."""

    low: float
    high: float
    mean: Annotated[float, about("Mean of the observable over the samples in the bin.")]
    accuracy_at_best_threshold: Annotated[
        Measurement | UnsetType, about("Accuracy at the run's `best_threshold`. Two classes only.")
    ] = UNSET


class Slice(Part, frozen=True, kw_only=True):
    """Test metrics in bins of one observable, with about the same number of samples in each bin."""

    variable: Annotated[str, about("Name of the observable.")]
    long_name: str
    units: Annotated[str, about("1 for none.")]
    bins: list[SliceBin]


class GallerySample(Part, frozen=True, kw_only=True):
    """A test sample that is shown as an image."""

    sample: Annotated[Count, about("Position in the store.")]
    label: Annotated[Count, about("Number of the true class.")]
    score: Annotated[Fraction | UnsetType, about("Two classes only.")] = UNSET
    probabilities: Annotated[
        list[Fraction] | UnsetType, about("Probability of each class. More than two classes only.")
    ] = UNSET


class Gallery(Part, frozen=True, kw_only=True):
    """Up to four test samples of each class with the most confident correct, wrong and the least certain scores.

    Confidence is the probability of the most probable class.
    """

    right: list[GallerySample]
    wrong: list[GallerySample]
    uncertain: list[GallerySample]


OcclusionMap = Annotated[list[list[float]], about("One value per patch; rows run along ieta.")]


class OcclusionMaps(Part, frozen=True, kw_only=True):
    """Mean absolute change of a score when a patch of the image is set to zero, by true class; null without samples.

    With more than two classes, the score is the probability of the true class.
    """

    samples: Annotated[Count, about("Number of test images.")]
    background: Annotated[OcclusionMap | UnsetType | None, about("Two classes only.")] = UNSET
    signal: Annotated[OcclusionMap | UnsetType | None, about("Two classes only.")] = UNSET
    by_class: Annotated[list[OcclusionMap | None] | UnsetType, about("More than two classes only.")] = UNSET


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


class ClassifierResults(Part, frozen=True, kw_only=True):
    """How well a run, or an ensemble of runs, classifies."""

    name: str
    framework: Annotated[str, about("For an ensemble, the different ones of its runs, with commas between them.")]
    model: Annotated[str, about("For an ensemble, the different ones of its runs, with commas between them.")]
    parameters: Annotated[Count, about("Number of trainable parameters; for an ensemble, of all its runs together.")]
    signal: Annotated[str | UnsetType, about("Name of class 1. Two classes only.")] = UNSET
    background: Annotated[str | UnsetType, about("Name of class 0. Two classes only.")] = UNSET
    classes: Annotated[list[str] | UnsetType, about("Names of the classes. More than two classes only.")] = UNSET
    best_threshold: Annotated[
        float | UnsetType, about("Threshold with the highest accuracy on the validation split. Two classes only.")
    ] = UNSET
    splits: SplitResults
    generalisation_gap: Annotated[GeneralisationGap, about("Training split minus test split.")]
    validation_gap: Annotated[
        GeneralisationGap, about("Validation split, which chose the epoch, minus test split, which chose nothing.")
    ]
    slices: list[Slice]


class RunResults(ClassifierResults, frozen=True, kw_only=True):
    """Everything about one run."""

    path: str
    config: Annotated[dict[str, Any], about("Settings of the training.")]
    environment: Annotated[dict[str, Any], about("Command, device and versions.")]
    store: StoreIdentity
    history: Annotated[dict[str, list[float | None]], about("By epoch; null where a value could not be computed.")]
    gallery: Gallery
    occlusion: OcclusionMaps | None


class EnsembleResults(ClassifierResults, frozen=True, kw_only=True):
    """The mean of the logits of several runs, on the samples of each split that all of them have.

    For K classes, the logits are the logarithms of the probabilities, and their mean is normalised again.
    """

    runs: Annotated[list[str], Meta(min_length=2), about("Names of the runs.")]


class SeedSpread(Part, frozen=True, kw_only=True):
    """A metric of runs that differ in the seed alone."""

    mean: Annotated[float, about("Plain mean over the runs.")]
    standard_deviation: Annotated[NotNegative, about("Of single runs, with n - 1 for n runs.")]
    standard_error: Annotated[
        NotNegative,
        about("Of a single run, from the finite number of samples: root mean square over the runs. They share it."),
    ]


class SeedMetrics(Part, frozen=True, kw_only=True):
    """Metrics of runs that differ in the seed alone, on one split."""

    auc: Annotated[SeedSpread | None, about("Null where a run has none.")]
    accuracy: SeedSpread
    log_loss: SeedSpread


class SeedGroup(Part, frozen=True, kw_only=True):
    """Runs on the same test samples that differ in the seed alone, and in settings that have no effect on results."""

    runs: Annotated[list[str], Meta(min_length=2), about("Names of the runs, one per seed.")]
    framework: str
    model: str
    seeds: Annotated[list[int], about("Seed of each run.")]
    splits: Annotated[dict[str, SeedMetrics], about("By split.")]
