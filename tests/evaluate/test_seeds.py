"""Runs that differ in the seed alone."""

import json

import numpy as np
import pytest

from evaluate import ranking
from evaluate.card import write_card
from evaluate.cli import app
from evaluate.comparisons import comparable
from evaluate.runs import load_runs
from evaluate.seed_figures import draw_seeds
from evaluate.seeds import find_seeds
from evaluate.stores import find_stores
from evaluate.summary import summarise
from tests.evaluate.class_runs import write_class_run
from tests.examples import run_program

MACHINE = {"threads": 1, "memory": "1GiB", "device": "cpu", "feed": "stream", "run": "runs/0", "store": "a.zarr"}
OTHER_MACHINE = {"threads": 8, "memory": "8GiB", "device": "cuda", "feed": "resident", "run": "x/1", "store": "b.zarr"}


def measure(*paths):
    runs = load_runs(paths)
    return summarise(find_stores(runs), runs)


def names_of(*paths):
    """Names of the runs that belong together."""
    return [[run.name for run in group] for group in find_seeds(comparable(load_runs(paths)))[0]]


def test_the_spread_is_the_standard_deviation_over_seeds(make_run):
    paths = [make_run(f"s{seed}", seed=seed) for seed in (3, 4, 5)]
    document = measure(*paths, make_run("keras", "keras", seed=6))
    (group,) = document.seeds
    assert (group.runs, group.seeds, group.framework, group.model) == (["s3", "s4", "s5"], [3, 4, 5], "torch", "cnn")
    for split, metrics in group.splits.items():
        aucs = [ranking.auc(*run.predictions[split].scored) for run in load_runs(paths)]
        assert metrics.auc.mean == pytest.approx(np.mean([auc.value for auc in aucs]))
        assert metrics.auc.standard_deviation == pytest.approx(np.std([auc.value for auc in aucs], ddof=1))
        assert metrics.auc.standard_error == pytest.approx(np.sqrt(np.mean([auc.standard_error**2 for auc in aucs])))
    losses = [run.splits.test.log_loss.value for run in document.runs[:3]]
    assert group.splits["test"].log_loss.standard_deviation == pytest.approx(np.std(losses, ddof=1))


def test_settings_without_effect_may_differ(make_run):
    settings = {"learning_rate": 1e-3, "augmentation": "none"}
    first = make_run("a", settings=settings | MACHINE)
    second = make_run("b", seed=1, settings=settings | OTHER_MACHINE)
    assert names_of(first, second) == [["a", "b"]]


@pytest.mark.parametrize(
    "other", [{"learning_rate": 3e-3}, {"train_samples": 100}, {"teach": ["runs/a", "runs/b"]}, {"precision": "tf32"}]
)
def test_other_settings_separate_runs(other, make_run):
    settings = {"learning_rate": 1e-3, "train_samples": 0, "precision": "float32"}
    runs = [make_run("a", settings=settings), make_run("b", seed=1, settings=settings | other)]
    assert names_of(*runs) == []
    assert names_of(*runs, make_run("c", seed=2, settings=settings)) == [["a", "c"]]


def test_a_setting_that_an_older_run_lacks_is_off(make_run):
    assert names_of(make_run("a"), make_run("b", seed=1, settings={"teach": [], "where": "none"})) == [["a", "b"]]


def test_the_architecture_counts_and_not_the_path_of_its_file(make_run):
    networks = [({"layers": [1]}, "one.json"), ({"layers": [1]}, "two.json"), ({"layers": [2]}, "one.json")]
    runs = []
    for seed, (layers, model) in enumerate(networks):
        runs.append(make_run(f"run-{seed}", seed=seed, settings={"model": model}))
        (runs[-1] / "architecture.json").write_text(json.dumps(layers))
    assert names_of(*runs) == [["run-0", "run-1"]]


def test_a_repeated_seed_counts_once(make_run):
    document = measure(make_run("a", seed=1), make_run("again", seed=1), make_run("b", seed=2))
    assert [group.runs for group in document.seeds] == [["a", "b"]]
    assert "again: repeats a with the same seed, 1; the spread over seeds counts it once" in document.warnings
    document = measure(make_run("a", seed=1), make_run("again", seed=1))
    assert document.seeds == []
    assert not any("repeats" in warning for warning in document.warnings)


def test_page_card_figure_and_terminal_show_the_spread(make_run, undrawn, tmp_path):
    runs = [make_run(f"cnn-{seed}", seed=seed) for seed in range(3)]
    outcome = run_program(app, "report", *runs, "--output", tmp_path / "report")
    assert outcome.status == 0, outcome.err
    (line,) = [line for line in outcome.out.splitlines() if "3 seeds (" in line]
    assert line.startswith("test AUC, 3 seeds (cnn-0, cnn-1, cnn-2): 0.9")
    assert "Spread over seeds" in (tmp_path / "report" / "index.html").read_text()
    document = measure(*runs)
    deviation = f"{document.seeds[0].splits['test'].auc.standard_deviation:.2g}"
    assert f"3 trainings that differ in the seed alone has a standard deviation of {deviation}" in (
        write_card(document, document.runs[0])
    )
    drawing, by_epoch = draw_seeds(document)
    points = drawing.figure.axes[0].lines[-1].get_xdata()
    assert list(points) == [run.splits.test.auc.value for run in document.runs]
    assert drawing.figure.axes[0].get_yticklabels()[0].get_text() == "cnn, torch"
    assert list(by_epoch.figure.axes[0].lines[0].get_ydata()) == pytest.approx([0.8] * 3)


def test_runs_without_a_group_have_no_section(two_runs):
    document = summarise(find_stores(two_runs), two_runs)
    assert document.seeds == draw_seeds(document) == []
    assert "errors do not include the spread between trainings with different seeds" in (
        write_card(document, document.runs[0])
    )


def test_classes_have_a_spread_too(tmp_path):
    document = measure(*(write_class_run(tmp_path / name, seed=seed) for seed, name in enumerate("ab")))
    aucs = [run.splits.test.auc.value for run in document.runs]
    assert document.seeds[0].splits["test"].auc.standard_deviation == pytest.approx(np.std(aucs, ddof=1))
