"""docs/results/auc_by_images.py fits and draws AUC against training images from run directories."""

import re
import runpy
import sys

import numpy as np
import pytest
from scipy.special import expit

from store.predictions import Predictions
from tests.evaluate.conftest import write_run
from tests.pages import ROOT

SCRIPT = str(ROOT / "docs" / "results" / "auc_by_images.py")
NUMBERS = np.repeat([3_000, 11_000, 30_000, 56_000, 109_396], 3)
TRUE = (0.82, 2.0, 0.42)  # a, b and c, with N in images


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(SCRIPT)


def run_script(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", [SCRIPT, *map(str, words)])
    runpy.run_path(SCRIPT, run_name="__main__")


def auc_of(images):
    a, b, c = TRUE
    return a - b * np.asarray(images, float) ** -c


def test_points_on_the_law_are_continued_exactly(script):
    fitted = script["fit"](NUMBERS, auc_of(NUMBERS))
    assert float(fitted.auc(348_600)) == pytest.approx(auc_of(348_600), abs=1e-6)
    assert float(fitted.error(348_600)) < 1e-6
    assert fitted.parameters[[0, 2]] == pytest.approx([TRUE[0], TRUE[2]], rel=1e-3)


def test_the_error_of_the_extrapolation_covers_the_truth(script):
    random, pulls = np.random.default_rng(0), []
    for _ in range(150):
        fitted = script["fit"](NUMBERS, auc_of(NUMBERS) + random.normal(scale=0.0005, size=NUMBERS.size))
        pulls.append((float(fitted.auc(348_600)) - auc_of(348_600)) / float(fitted.error(348_600)))
        assert 0.0001 < fitted.scatter < 0.0012
    # The width of a t distribution with 12 degrees of freedom is 1.10.
    assert abs(np.mean(pulls)) < 0.35
    assert 0.9 < np.std(pulls) < 1.35


@pytest.mark.parametrize(
    ("images", "auc"),
    [
        ([1, 2, 3], [0.6, 0.7, 0.75]),
        ([100, 100, 1000, 1000], [0.6, 0.6, 0.7, 0.7]),
        ([100, 1000, 10_000, 100_000], [0.6, 0.7, 0.8, 0.9]),
        ([100, 1000, 10_000, 100_000], [0.7, 0.7, 0.7, 0.7]),
    ],
)
def test_points_that_determine_no_limit_are_not_continued(images, auc, script):
    assert script["fit"](np.array(images), np.array(auc)) is None


def write_trained(path, images, strength, seed):
    """A run that has used some of the training images, and the better for it."""
    write_run(path, seed=seed)
    for split in ("train", "test"):
        file = path / "predictions" / f"{split}.npz"
        part = Predictions.load(file)
        logit = strength * (part.label - 0.5) + np.random.default_rng(0).normal(size=part.label.size)
        rows = slice(images if split == "train" else None)
        Predictions(sample=part.sample[rows], label=part.label[rows], score=expit(logit)[rows]).save(file)
    return path


@pytest.fixture
def runs(tmp_path):
    made = []
    for number, (images, strength) in enumerate([(50, 0.3), (100, 0.9), (200, 1.25), (400, 1.5), (700, 1.65)]):
        made.append(write_trained(tmp_path / f"run-{images}", images, strength, number))
    return made


def test_runs_become_a_picture(runs, tmp_path, monkeypatch, capsys):
    picture = tmp_path / "curve.svg"
    run_script(monkeypatch, picture, "--curve", "shower", *runs, "--curve", "trees", write_run(tmp_path / "t", "trees"))
    printed = capsys.readouterr().out
    fitted, extrapolated, check, other = printed.splitlines()
    assert re.match(r"shower: AUC\(N\) = 0\.\d{4} - 0\.\d{4} \(N / \d+\)\^-\d\.\d{3}, 5 runs, 5 numbers", fitted)
    assert re.match(r"  348,600 images: 0\.\d+ ± 0\.\d+ \(fit\), and ± 0\.\d+ from the test samples", extrapolated)
    assert check.startswith("  700 images, from the smaller numbers: 0.")
    assert other == "trees: no fit; runs: 1, numbers of images: 1"
    svg = picture.read_text()
    value = re.search(r"348,600 images: (0\.\d+ ± 0\.\d+)", extrapolated)[1]
    assert f"shower: {value} for 348,600" in svg
    assert "Geant4 simulation" in svg
    assert [path.name for path in tmp_path.glob("curve*")] == ["curve.svg"]


def test_runs_with_other_test_samples_have_no_common_curve(runs, tmp_path, monkeypatch):
    file = runs[0] / "predictions" / "test.npz"
    part = Predictions.load(file)
    Predictions(sample=part.sample[1:], label=part.label[1:], score=part.score[1:]).save(file)
    with pytest.raises(SystemExit, match=r"run-100.*cannot be compared with run-50: their test samples differ"):
        run_script(monkeypatch, tmp_path / "curve.svg", "--curve", "shower", *runs)
    assert not (tmp_path / "curve.svg").exists()
