"""The first screen of a report: sentences, ranking, and tables as files."""

import csv
import io

import numpy as np
import pytest

from evaluate.metrics import Estimate
from evaluate.report_tables import make_tables
from evaluate.runs import load_runs
from evaluate.standing import rank
from evaluate.stores import find_stores
from evaluate.summary import summarise
from evaluate.tables import Table, measured, texts
from evaluate.verdict import describe
from store.predictions import Predictions


def measure(*paths):
    runs = load_runs(paths)
    return summarise(find_stores(runs), runs)


def improve(path, by):
    """Move the scores of a run towards the labels, or away from them, on the test split."""
    file = path / "predictions" / "test.npz"
    test = Predictions.load(file)
    logit = np.log(test.score / (1 - test.score)) + by * (2.0 * test.label - 1)
    Predictions(sample=test.sample, label=test.label, score=1 / (1 + np.exp(-logit))).save(file)
    return path


def test_a_better_run_comes_first_whatever_the_order(make_run):
    worse, better = make_run("worse"), improve(make_run("better", settings={"dropout": 0.5}), 0.8)
    document = measure(worse, better)
    ((sentence, others),) = describe(document)
    aucs = {run.name: f"{run.splits.test.auc.value:.3f}" for run in document.runs}
    difference = -document.comparisons[0].difference.value
    assert difference > 0
    assert sentence.startswith(
        f"better separates the classes better than worse: test AUC {aucs['better']} against {aucs['worse']}, "
        f"difference {difference:.3f}"
    )
    assert others == "Trained on 700 images, tested on 200."


def test_networks_that_are_no_better_than_trees_on_few_images_are_explained(make_run):
    (one,) = describe(measure(make_run("a"), improve(make_run("forest", "trees"), 0.8)))
    assert "Boosted trees reach 0." in one[1]
    assert "a - forest: difference -0." in one[1]
    assert "so few images" in one[1]
    assert "no network is better than boosted trees" in one[1]
    (other,) = describe(measure(improve(make_run("b"), 0.8), make_run("weak", "trees")))
    assert "so few images" not in other[1]


def test_seeds_count_by_their_mean_in_a_ranking(make_run):
    paths = [make_run("a", seed=1), make_run("b", seed=2), improve(make_run("c", settings={"dropout": 0.5}), 0.8)]
    document = measure(*paths)
    best, seeds = rank(document, document.runs)
    assert (best.name, seeds.name) == ("c", "a, b")
    aucs = [run.splits.test.auc.value for run in document.runs]
    assert seeds.auc.value == pytest.approx(np.mean(aucs[:2]))
    assert seeds.spread == pytest.approx(np.std(aucs[:2], ddof=1))
    assert seeds.comparison.difference.value == pytest.approx(aucs[2] - np.mean(aucs[:2]))
    ((sentence, _),) = describe(document)
    assert sentence.startswith(f"Best of 3 networks: c with a test AUC of {aucs[2]:.3f}; then cnn in PyTorch with")
    (table,) = make_tables(document)["ranking"]
    assert [row[0].text for row in table.rows] == ["c", "a, b"]


def test_tables_are_safe_in_spreadsheets_and_in_latex():
    values = [Estimate(value=-0.0348, standard_error=0.0076), None, "∞"]
    names = ["=1+2", 'a,"b"', r"50 % & \x_1"]
    table = Table(name="t", label="T", columns=[texts("run", names), measured("AUC", values)])
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows == [
        ["run", "AUC", "AUC, error"],
        ["'=1+2", "-0.0348", "0.0076"],
        ['a,"b"', "", ""],
        [r"50 % & \x_1", "", ""],
    ]
    lines = table.to_latex().splitlines()
    assert r"=1+2 & $-$0.035 $\pm$ 0.008 \\" in lines
    assert r"50 \% \& \textbackslash{}x\_1 & $\infty$ \\" in lines
