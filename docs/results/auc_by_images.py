"""Draw the test AUC against the number of training images, with a fit and its extrapolation to the published files.

Run: ``python docs/results/auc_by_images.py PICTURE.svg --curve NAME RUN RUN ... --curve NAME RUN RUN ...``

The runs have different ``--train-samples`` and the same test samples; there may be several seeds of each number.

The fit is AUC(N) = a - b N^-c, by least squares with equal weights. The standard deviation of a point is estimated from
the residuals (n - 3 degrees of freedom for n runs), so it contains the spread over seeds and all that the fit does not
describe. The error of the curve is that of a, b and c with their covariance, to first order. The error from the test
samples is beside it: it is common to all points, and moves the curve as a whole. That the law goes on beyond the
largest number of images is an assumption; what the fit without the largest number predicts for it is a check.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.optimize import minimize_scalar

from evaluate import class_metrics, class_ranking, ranking, style
from evaluate.comparisons import comparable, warn_about_groups
from evaluate.formatting import with_error
from evaluate.metrics import Estimate
from evaluate.runs import Run, load_runs

PUBLISHED = 348_600  # 70 % of the 498,000 published showers
EXPONENTS = (0.02, 3.0)
SMALLEST_RISE = 1e-6  # of AUC, from the middle of the points to the limit


@dataclass(frozen=True)
class Fit:
    """AUC(N) = a - b (N / unit)^-c.

    Attributes
    ----------
    parameters
        a, b and c.
    covariance
        Their covariance, (3, 3).
    unit
        Geometric mean of the numbers of images, which makes the parameters less correlated.
    scatter
        Standard deviation of a point.
    """

    parameters: np.ndarray
    covariance: np.ndarray
    unit: float
    scatter: float

    def auc(self, images: np.ndarray | float) -> np.ndarray:
        """Return the AUC for numbers of images."""
        a, b, c = self.parameters
        return a - b * (np.asarray(images, dtype=float) / self.unit) ** -c

    def error(self, images: np.ndarray | float) -> np.ndarray:
        """Return the standard error of the curve for numbers of images."""
        ratio = np.asarray(images, dtype=float) / self.unit
        _, b, c = self.parameters
        power = ratio**-c
        gradient = np.stack([np.ones_like(power), -power, b * power * np.log(ratio)], axis=-1)
        return np.sqrt(np.einsum("...i,ij,...j->...", gradient, self.covariance, gradient))

    def describe(self, images: int) -> str:
        """Return the AUC for a number of images with the error of the curve, as text."""
        return with_error(float(self.auc(images)), float(self.error(images)))


def fit(images: np.ndarray, auc: np.ndarray) -> Fit | None:
    """Return the fit to n points; None for fewer than four points, fewer than three numbers, or no rise that slows."""
    if images.size < 4 or np.unique(images).size < 3:
        return None
    unit = float(np.exp(np.log(images).mean()))
    ratio = images / unit

    def solve(c: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the best a and b for an exponent, and the residuals."""
        columns = np.stack([np.ones(ratio.size), -(ratio**-c)], axis=1)
        best = np.linalg.lstsq(columns, auc)[0]
        return best, auc - columns @ best

    squares = minimize_scalar(lambda c: np.sum(solve(c)[1] ** 2), bounds=EXPONENTS, options={"xatol": 1e-9})
    c = float(squares.x)
    (a, b), residuals = solve(c)
    if b < SMALLEST_RISE or np.isclose(c, EXPONENTS, rtol=1e-3).any():
        return None
    variance = np.sum(residuals**2) / (images.size - 3)
    power = ratio**-c
    jacobian = np.stack([np.ones_like(power), -power, b * power * np.log(ratio)], axis=1)
    return Fit(
        parameters=np.array([a, b, c]),
        covariance=variance * np.linalg.inv(jacobian.T @ jacobian),
        unit=unit,
        scatter=float(np.sqrt(variance)),
    )


@dataclass(frozen=True)
class Curve:
    """One kind of model: number of training images, test AUC and its error for each of its runs."""

    name: str
    images: np.ndarray
    auc: np.ndarray
    error: np.ndarray

    @classmethod
    def of_runs(cls, name: str, runs: Sequence[Run]) -> "Curve":
        aucs = [measure(run) for run in runs]
        return cls(
            name=name,
            images=np.array([run.predictions["train"].sample.size for run in runs]),
            auc=np.array([auc.value for auc in aucs]),
            error=np.array([auc.standard_error for auc in aucs]),
        )

    def describe(self) -> str:
        """Return the fit, the extrapolation and its check, as lines."""
        fitted, largest = fit(self.images, self.auc), self.images.max()
        if fitted is None:
            return f"{self.name}: no fit; runs: {self.images.size}, numbers of images: {np.unique(self.images).size}"
        a, b, c = fitted.parameters
        numbers = np.unique(self.images)
        test = np.sqrt(np.mean(self.error[self.images == largest] ** 2))
        lines = [
            f"{self.name}: AUC(N) = {a:.4f} - {b:.4f} (N / {fitted.unit:,.0f})^-{c:.3f}, {self.images.size} runs, "
            f"{numbers.size} numbers of images, scatter {fitted.scatter:.2g}",
            f"  {PUBLISHED:,} images: {fitted.describe(PUBLISHED)} (fit), and ± {test:.2g} from the test samples",
        ]
        smaller = self.images < largest
        if without := fit(self.images[smaller], self.auc[smaller]):
            measured = self.auc[~smaller].mean()
            predicted = without.describe(largest)
            lines.append(f"  {largest:,} images, from the smaller numbers: {predicted}; measured: {measured:.4f}")
        return "\n".join(lines)


def measure(run: Run) -> Estimate:
    """Return the test AUC of a run; with more than two classes, their mean."""
    test = run.predictions["test"]
    if test.class_count == 2:
        return ranking.auc(*test.scored)
    mean = class_ranking.macro_auc(class_metrics.checked(*test.scored)).mean
    if mean is None:
        raise SystemExit(f"error: {run.path}: has no AUC, because a class has too few test samples")
    return mean


@style.styled
def draw(curves: Sequence[Curve]) -> Figure:
    """Draw the points of every curve, its fit with a band of one standard error, and dashed what is extrapolated."""
    figure, axes = style.new_figure("AUC by number of training images", "training images", "test AUC", len(curves))
    axes.axvline(PUBLISHED, color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    entries = {}
    for index, curve in enumerate(curves):
        colour, marker, label = style.run_colour(index), style.MARKERS[index % len(style.MARKERS)], curve.name
        (points,) = axes.plot(curve.images, curve.auc, marker, color=colour, markersize=3.5)
        if fitted := fit(curve.images, curve.auc):
            inside = np.geomspace(curve.images.min(), curve.images.max(), 100)
            beyond = np.geomspace(curve.images.max(), max(PUBLISHED, curve.images.max()), 50)
            for numbers, dashes in ((inside, "-"), (beyond, (0, (4, 1.5)))):
                middle, error = fitted.auc(numbers), fitted.error(numbers)
                axes.plot(numbers, middle, color=colour, linestyle=dashes, linewidth=1.2)
                axes.fill_between(numbers, middle - error, middle + error, color=colour, alpha=0.15, linewidth=0)
            value, error = float(fitted.auc(PUBLISHED)), float(fitted.error(PUBLISHED))
            axes.errorbar(PUBLISHED, value, error, color=colour, marker=marker, markersize=3.5, fillstyle="none")
            label = f"{curve.name}: {fitted.describe(PUBLISHED)} for {PUBLISHED:,}"
        entries[label] = points
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    style.legend(figure, entries, length=60)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the test AUC against the number of training images.")
    parser.add_argument("picture", type=Path, help="the SVG file to write")
    parser.add_argument("--curve", nargs="+", action="append", required=True, metavar=("NAME", "RUN"))
    options = parser.parse_args()
    runs = load_runs([Path(path) for _, *paths in options.curve for path in paths])
    groups = comparable(runs)
    if len(groups) > 1:
        raise SystemExit(f"error: {warn_about_groups(groups)[0]}")
    curves, first = [], 0
    for name, *paths in options.curve:
        curves.append(Curve.of_runs(name, runs[first : first + len(paths)]))
        first += len(paths)
        print(curves[-1].describe())
    with tempfile.TemporaryDirectory() as folder:
        svg = style.save(draw(curves), Path(folder, "curve"), runs[0].store.simulated)[0]
        shutil.copyfile(svg, options.picture)


if __name__ == "__main__":
    main()
