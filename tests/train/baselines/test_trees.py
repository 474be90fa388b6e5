import io
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from evaluate.runs import load_runs
from store.console import Screen
from store.errors import ConfigError, RunError
from store.opening import open_dataset, open_store
from store.predictions import Predictions
from tests.showers import write_shower_store
from train.baselines.table import FeatureTable, read_features
from train.baselines.training import train_baseline
from train.baselines.trees import Trees, TreesConfig, grow_trees
from train.metrics import compute_metrics


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shower_store(tmp_path_factory.mktemp("trees"), 1000)


@pytest.fixture(scope="module")
def run(path: Path) -> Path:
    config = TreesConfig(run=path.parent / "run", store=path)
    train_baseline(config, partial(grow_trees, config))
    return config.run


def test_ranks_showers(run: Path) -> None:
    validation = Predictions.load(run / "predictions" / "validation.npz")
    auc = compute_metrics(validation.label, np.log(validation.score / (1 - validation.score))).auc
    assert auc is not None
    assert auc > 0.65


def test_leaves_a_run_that_the_evaluation_reads(run: Path, path: Path) -> None:
    (read,) = load_runs([run])
    assert (read.framework, read.model) == ("trees", "boosted-trees")
    assert (read.history["seconds"] > 0).all()
    for split, (start, stop) in open_store(path).attributes["split_ranges"].items():
        np.testing.assert_array_equal(read.predictions[split].sample, np.arange(start, stop))


def test_a_terminal_shows_what_is_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    screen = Screen(file=out, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr("train.progress.console", screen)
    tables = [read_features(open_store(path), split) for split in ("train", "validation")]
    _, history = grow_trees(TreesConfig(run=path, max_trees=5), *tables)
    text = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", out.getvalue())
    assert re.search(rf"shower shapes, train .* {len(tables[0].label)}/{len(tables[0].label)} ", text)
    assert re.search(r"growing trees \(may end early\) .* 5/5 ", text)
    assert re.search(r"loss and AUC of each step .* 5/5 ", text)
    assert len(history) == 5
    assert max(map(len, re.split(r"[\r\n]+", text))) <= 80


def test_keeps_the_trees_of_the_lowest_validation_loss(run: Path) -> None:
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    losses = [epoch["validation_loss"] for epoch in history]
    assert len(Trees.load(run).root) == np.argmin(losses) + 1 < len(losses)
    validation = Predictions.load(run / "predictions" / "validation.npz")
    found = compute_metrics(validation.label, np.log(validation.score / (1 - validation.score)))
    assert found.loss == pytest.approx(min(losses), rel=1e-9)


def test_loaded_trees_score_images_as_they_are(run: Path, path: Path) -> None:
    test = open_dataset(path, split="test")
    predictions = Predictions.load(run / "predictions" / "test.npz")
    np.testing.assert_allclose(Trees.load(run).score(test.image.values), predictions.score, rtol=1e-12)
    with np.load(run / "trees.npz", allow_pickle=False) as archive:
        assert json.loads((run / "config.json").read_text())["parameters"] == len(archive["value"])


def read_tables(path: Path) -> list[FeatureTable]:
    return [read_features(open_store(path), split) for split in ("train", "validation")]


def test_equal_scikit_learn(path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    train, validation = read_tables(path)
    classifier = HistGradientBoostingClassifier(max_iter=20, early_stopping=False).fit(train.feature, train.label)
    expected = list(classifier.staged_decision_function(validation.feature))
    for count in (1, 20):
        found = Trees.from_sklearn(classifier, count).logit(validation.feature)
        np.testing.assert_allclose(found, np.ravel(expected[count - 1]), rtol=1e-12)


def three_classes(count: int, seed: int) -> FeatureTable:
    """Return overlapping samples of three classes with weights, some of them negative."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, count).astype(np.uint8)
    feature = random.normal(size=(count, 2)) + np.array([[0, 0], [2, 0], [0, 2]])[label]
    weight = random.uniform(-0.2, 2, count).astype(np.float32)
    return FeatureTable(feature=feature, label=label, sample=np.arange(count), weight=weight)


def test_trees_of_three_classes_equal_scikit_learn_and_survive_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = three_classes(300, 0)
    classifier = HistGradientBoostingClassifier(max_iter=5, early_stopping=False).fit(table.feature, table.label)
    for count in (1, 5):
        found = Trees.from_sklearn(classifier, count)
        expected = list(classifier.staged_decision_function(table.feature))[count - 1]
        np.testing.assert_allclose(found.logit(table.feature), expected, rtol=1e-12)
    found.save(tmp_path)
    loaded = Trees.load(tmp_path)
    assert loaded.root.shape == (5, 3)
    np.testing.assert_array_equal(loaded.logit(table.feature), found.logit(table.feature))
    images = np.zeros((300, 1, 1, 1), np.float32)
    np.testing.assert_allclose(
        replace(loaded, features="variables").score(images, table.feature.astype(np.float32)),
        classifier.predict_proba(table.feature.astype(np.float32)),
        atol=1e-12,
    )
    monkeypatch.setattr("train.baselines.trees.BLOCK", 100)  # 6 samples at once
    np.testing.assert_array_equal(loaded.logit(table.feature), found.logit(table.feature))
    assert loaded.logit(table.feature[:0]).shape == (0, 3)


def test_weights_count_in_the_trees_and_their_history() -> None:
    config = TreesConfig(run=Path("unused"), max_trees=3)
    training, validation = three_classes(300, 1), three_classes(200, 2)
    trees, history = grow_trees(config, training, validation)
    unweighted, _ = grow_trees(config, replace(training, weight=None), validation)
    assert not np.allclose(trees.logit(validation.feature), unweighted.logit(validation.feature))
    expected = compute_metrics(validation.label, trees.logit(validation.feature), validation.weight)
    best = min(history, key=lambda record: record.validation_loss)
    assert best.validation_loss == pytest.approx(expected.loss, rel=1e-9)
    assert best.validation_auc == pytest.approx(expected.auc, rel=1e-9)


def test_one_seed_is_one_result(path: Path) -> None:
    training, validation = read_tables(path)
    config = TreesConfig(run=Path("unused"), max_trees=5)
    first, same, other = (
        grow_trees(replace(config, seed=seed), training, validation)[0].logit(validation.feature) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_names_what_is_wrong(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed=-1"):
        TreesConfig(run=run, seed=-1)
    with pytest.raises(RunError, match=r"trees\.npz: no such file"):
        Trees.load(tmp_path)
    (tmp_path / "trees.npz").write_text("not an archive")
    with pytest.raises(RunError, match=r"trees\.npz: not boosted trees"):
        Trees.load(tmp_path)


NODES = {
    "baseline": np.array(0.5),
    "root": np.array([0, 3], np.int32),
    "feature": np.array([1, 0, 0, 0], np.int32),
    "threshold": np.array([2.0, 0, 0, 0]),
    "left": np.array([1, 1, 2, 3], np.int32),
    "right": np.array([2, 1, 2, 3], np.int32),
    "value": np.array([0, -1, 1, 0.25]),
}


def test_a_file_of_few_nodes_scores(tmp_path: Path) -> None:
    np.savez(tmp_path / "trees.npz", **NODES)
    logit = Trees.load(tmp_path).logit(np.array([[0.0, 1.0], [0.0, 3.0]]))
    assert logit.tolist() == [-0.25, 1.75]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": np.array([0, 4])}, "root has an index that is none of the 4 nodes"),
        ({"left": np.array([1, 1, 2, -1])}, "left has an index that is none of the 4 nodes"),
        ({"right": np.array([0, 1, 2, 3])}, "left and right must be the node itself"),
        ({"left": np.array([1, 0, 2, 3])}, "left and right must be the node itself"),  # a cycle without end
        ({"feature": np.array([-1, 0, 0, 0])}, "feature has a negative index"),
        ({"feature": np.zeros(4)}, "feature must be whole numbers"),
        ({"value": np.array([0, np.nan, 1, 0])}, "value must be finite numbers"),
        ({"value": np.zeros(3)}, r"feature must be whole numbers of shape \(3,\)"),
        ({"threshold": np.full(4, np.nan)}, "threshold must be numbers"),
        ({"baseline": np.zeros(2)}, "baseline must be one number, or one for each of 3 to 255 classes"),
        ({"baseline": np.zeros(256)}, "baseline must be one number, or one for each of 3 to 255 classes"),
        ({"baseline": np.zeros((3, 3))}, r"baseline must be finite numbers of shape \(3,\)"),
        ({"baseline": np.zeros(3)}, r"root must be whole numbers of shape \(2, 3\)"),
        ({"root": np.array([[0, 3]])}, r"root must be whole numbers of shape \(1,\)"),
        ({"features": np.array("cells")}, "features must be one of variables, shower shapes, image moments"),
        ({"features": np.zeros(2)}, "features must be one of"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "trees.npz", **NODES | changes)
    with pytest.raises(RunError, match=rf"trees\.npz: not boosted trees \({message}"):
        Trees.load(tmp_path)


def test_images_that_do_not_have_the_features_are_refused() -> None:
    trees, small = Trees(**NODES), np.zeros((1, 9, 30, 2), np.float32)
    with pytest.raises(
        RunError, match=r"trees\.npz: needs images of energy and time with at least 9 x 31 cells, got 9 x"
    ):
        trees.score(small)
    with pytest.raises(RunError, match="was trained on variables, which are missing"):
        replace(trees, features="variables").score(small)
    with pytest.raises(RunError, match="was not trained on samples of 3 features"):
        replace(trees, features="image moments").score(small, np.zeros((1, 3), np.float32))
    assert replace(trees, features="image moments").score(small).shape == (1,)


def test_images_with_fewer_features_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "trees.npz", **NODES)
    with pytest.raises(RunError, match=r"trees\.npz: was not trained on samples of 1 features"):
        Trees.load(tmp_path).score(np.zeros((1, 32, 32, 2), np.float32), np.zeros((1, 1), np.float32))
